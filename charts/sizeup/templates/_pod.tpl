{{/* What all pods have in common. Without fields of the operator's they satisfy Pod Security "restricted". */}}

{{/* sizeup.podFields: values, from the general to the particular. Their pod fields (values.yaml) as one set, as JSON: in
     lists the last entry of a name holds, in maps the last value of a key, and null removes it. */}}
{{- define "sizeup.podFields" -}}
{{- $fields := dict -}}
{{- range $values := . -}}
{{- range $field, $key := dict "env" "name" "initContainers" "name" "extraContainers" "name" "extraVolumes" "name" "extraVolumeMounts" "mountPath" "resourceClaims" "name" -}}
{{- $_ := set $fields $field (include "sizeup.mergedList" (list $key (get $fields $field) (get $values $field)) | fromJsonArray) -}}
{{- end -}}
{{- range $field := list "envFrom" "tolerations" -}}
{{- $_ := set $fields $field (concat (get $fields $field | default list) (get $values $field | default list) | uniq) -}}
{{- end -}}
{{- range $field := list "podAnnotations" "podLabels" "nodeSelector" -}}
{{- $entries := get $fields $field | default dict -}}
{{- range $name, $value := get $values $field | default dict -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $entries $name }}{{ else }}{{ $_ := set $entries $name $value }}{{ end -}}
{{- end -}}
{{- $_ := set $fields $field $entries -}}
{{- end -}}
{{- $_ := set $fields "affinity" (mergeOverwrite (get $fields "affinity" | default dict) (deepCopy (get $values "affinity" | default dict))) -}}
{{- range $field := list "topologySpreadConstraints" "priorityClassName" "schedulerName" "runtimeClassName" -}}
{{- if hasKey $values $field }}{{ $_ := set $fields $field (get $values $field) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson $fields -}}
{{- end }}

{{/* sizeup.mergedList: list key, lists... One list, as JSON, in which an entry replaces those before it with the same key:
     server-side apply rejects lists with duplicate keys. */}}
{{- define "sizeup.mergedList" -}}
{{- $key := first . -}}
{{- $merged := list -}}
{{- range $entries := rest . -}}
{{- range $entry := $entries | default list -}}
{{- $others := list -}}
{{- range $merged -}}
{{- if ne (get . $key | trimSuffix "/") (get $entry $key | trimSuffix "/") }}{{ $others = append $others . }}{{ end -}}
{{- end -}}
{{- $merged = append $others $entry -}}
{{- end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end }}

{{/* sizeup.podTemplate: list root, component, serviceAccount, pod fields, template. The pod template: that of the component,
     as YAML, with what all pods have and the pod fields. */}}
{{- define "sizeup.podTemplate" -}}
{{- $root := index . 0 -}}
{{- $fields := index . 3 -}}
{{- $template := index . 4 | fromYaml -}}
{{- with get $template "Error" }}{{ fail (printf "the pod of %s: %s" (index $ 1) .) }}{{ end -}}
{{- $metadata := $template.metadata -}}
{{- $_ := set $metadata "labels" (merge $metadata.labels $fields.podLabels ($root.Values.commonLabels | default dict)) -}}
{{- $_ := set $metadata "annotations" (mergeOverwrite ($metadata.annotations | default dict) $fields.podAnnotations) -}}
{{- $spec := merge $template.spec (include "sizeup.pod" (list $root (index . 1) (index . 2)) | fromYaml) -}}
{{- $names := list -}}
{{- range $kind, $more := dict "initContainers" $fields.initContainers "containers" $fields.extraContainers -}}
{{- $own := list -}}
{{- range get $spec $kind | default list }}{{ $own = append $own (include "sizeup.extendedContainer" (list . $fields) | fromJson) }}{{ end -}}
{{- /* Init containers of the operator's come first: they may provide what the chart's wait for. */ -}}
{{- $all := eq $kind "containers" | ternary (concat $own $more) (concat $more $own) -}}
{{- range $all -}}
{{- if has .name $names -}}
{{- fail (printf "%s: the pod has two containers with the name %q: choose another name in initContainers or extraContainers" (index $ 1) .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $_ := set $spec $kind $all -}}
{{- end -}}
{{- $_ := set $spec "volumes" (include "sizeup.mergedList" (list "name" $spec.volumes $fields.extraVolumes) | fromJsonArray) -}}
{{- $volumes := list -}}
{{- range $spec.volumes }}{{ $volumes = append $volumes .name }}{{ end -}}
{{- range $fields.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "%s: the volume %q of extraVolumeMounts is not in extraVolumes" (index $ 1) .name) -}}
{{- end -}}
{{- end -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "runtimeClassName" "priorityClassName" "schedulerName" "resourceClaims" -}}
{{- with get $fields $field }}{{ $_ := set $spec $field . }}{{ end -}}
{{- end -}}
{{- range $fields.topologySpreadConstraints | default list -}}
{{- /* Without a selector it would count no pods. */ -}}
{{- $selector := pick $metadata.labels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "sizeup.dev/model" -}}
{{- if not .labelSelector }}{{ $_ := set . "labelSelector" (dict "matchLabels" $selector) }}{{ end -}}
{{- end -}}
{{- include "sizeup.nonEmpty" $metadata | printf "metadata:\n%s\n" -}}
{{- include "sizeup.nonEmpty" $spec | printf "spec:\n%s" -}}
{{- end }}

{{/* sizeup.nonEmpty: dict. Its entries as YAML, indented, without empty lists and maps. */}}
{{- define "sizeup.nonEmpty" -}}
{{- $kept := dict -}}
{{- range $field, $value := . -}}
{{- if not (and (or (kindIs "slice" $value) (kindIs "map" $value)) (empty $value)) }}{{ $_ := set $kept $field $value }}{{ end -}}
{{- end -}}
{{- toYaml $kept | indent 2 -}}
{{- end }}

{{/* sizeup.extendedContainer: list container, pod fields. A container of the chart's with the fields that are for it, as JSON. */}}
{{- define "sizeup.extendedContainer" -}}
{{- $container := index . 0 -}}
{{- $fields := index . 1 -}}
{{- $_ := set $container "env" (include "sizeup.mergedList" (list "name" $container.env $fields.env) | fromJsonArray) -}}
{{- $_ := set $container "volumeMounts" (include "sizeup.mergedList" (list "mountPath" $container.volumeMounts $fields.extraVolumeMounts) | fromJsonArray) -}}
{{- with $fields.envFrom }}{{ $_ := set $container "envFrom" . }}{{ end -}}
{{- toJson $container -}}
{{- end }}

{{/* sizeup.pod: list root, component, serviceAccount. What all pod specs have. */}}
{{- define "sizeup.pod" -}}
serviceAccountName: {{ include "sizeup.accountName" . }}
# Only the gateway uses the Kubernetes API, for EndpointSlices and scaling.
automountServiceAccountToken: {{ eq (index . 1) "gateway" }}
enableServiceLinks: false
securityContext:
  {{- range $field, $value := (index . 0).Values.podSecurityContext }}
  {{- if not (kindIs "invalid" $value) }}
  {{ $field }}: {{ toJson $value }}
  {{- end }}
  {{- end }}
{{- with include "sizeup.pullSecrets" (index . 0) | fromJsonArray }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Names, or objects with a name, of the chart and of a parent chart; as JSON. */}}
{{- define "sizeup.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.image.pullSecrets | default list) (get (.Values.global | default dict) "imagePullSecrets" | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- $secrets | uniq | toJson -}}
{{- end }}

{{/* sizeup.accountName: list root, component, serviceAccount */}}
{{- define "sizeup.accountName" -}}
{{- $account := index . 2 -}}
{{- $account.name | default ($account.create | ternary (include "sizeup.name" (list (index . 0) (index . 1))) "default") -}}
{{- end }}

{{/* sizeup.account: list root, component, serviceAccount. The ServiceAccount, unless it exists already. */}}
{{- define "sizeup.account" -}}
{{- $account := index . 2 -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sizeup.accountName" . }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels:
    {{- include "sizeup.labels" (list (index . 0) (index . 1)) | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
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
