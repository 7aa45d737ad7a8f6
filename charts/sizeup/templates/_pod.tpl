{{/* Fields shared by all pods. They satisfy Pod Security "restricted". */}}

{{/* sizeup.pod: list root, component, dict nodeSelector tolerations affinity runtimeClassName
     priorityClassName. The pod spec without containers; the component names the ServiceAccount. */}}
{{- define "sizeup.pod" -}}
serviceAccountName: {{ include "sizeup.name" (list (index . 0) (index . 1)) }}
# Only the gateway uses the Kubernetes API, for EndpointSlices and scaling.
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

{{/* sizeup.account: list root, component, annotations. A ServiceAccount. */}}
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

{{/* sizeup.spread: same arguments as sizeup.selector. Preferred, so that a single node can run all pods. */}}
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
