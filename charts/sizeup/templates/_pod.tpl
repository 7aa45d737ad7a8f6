{{/* What every pod has: Pod Security "restricted", and no more rights than that. */}}

{{/* sizeup.pod: list root, component (its ServiceAccount), dict nodeSelector tolerations affinity
     runtimeClassName priorityClassName */}}
{{- define "sizeup.pod" -}}
serviceAccountName: {{ include "sizeup.name" (list (index . 0) (index . 1)) }}
# The gateway reads EndpointSlices; no other pod talks to the API server.
automountServiceAccountToken: {{ eq (index . 1) "gateway" }}
enableServiceLinks: false
securityContext:
  {{- range $field, $value := (index . 0).Values.podSecurityContext }}
  {{- if not (kindIs "invalid" $value) }}
  {{ $field }}: {{ toJson $value }}
  {{- end }}
  {{- end }}
{{- with (index . 0).Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- $placement := index . 2 -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $placement $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $field := list "runtimeClassName" "priorityClassName" }}
{{- with get $placement $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* sizeup.account: list root, component, its annotations */}}
{{- define "sizeup.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sizeup.name" (list (index . 0) (index . 1)) }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels:
    {{- include "sizeup.labels" (list (index . 0) (index . 1)) | nindent 4 }}
  {{- with index . 2 }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "sizeup.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* sizeup.spread: as sizeup.selector. A preference: a single node takes them all. */}}
{{- define "sizeup.spread" -}}
topologySpreadConstraints:
  {{- range $topology := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $topology }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sizeup.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
