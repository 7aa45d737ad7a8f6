{{/* sizeup.cacheVolume: list root, model. Where the size's weights are. */}}
{{- define "sizeup.cacheVolume" -}}
{{- $root := index . 0 -}}
{{- $cache := $root.Values.modelCache -}}
{{- if eq $cache.mode "ephemeral" -}}
emptyDir: {sizeLimit: {{ include "sizeup.cacheSize" (list (index . 1)) }}}
{{- else if eq $cache.mode "perModel" -}}
persistentVolumeClaim: {claimName: {{ include "sizeup.name" (list $root "cache" (index . 1).key) }}}
{{- else -}}
persistentVolumeClaim: {claimName: {{ $cache.existingClaim | default (include "sizeup.name" (list $root "cache")) }}}
{{- end -}}
{{- end }}

{{/* sizeup.cacheSize: models. A fifth more than the weights, for tokenizers and the next revision's
     small files; 2 GiB for models of unknown size. */}}
{{- define "sizeup.cacheSize" -}}
{{- $bytes := 0.0 -}}
{{- range . -}}
{{- $bytes = addf $bytes (.weightBytes | default 2147483648.0) -}}
{{- end -}}
{{- divf (mulf $bytes 1.2) 1073741824.0 | ceil }}Gi
{{- end }}

{{/* sizeup.cacheClaim: list root, name, models */}}
{{- define "sizeup.cacheClaim" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $cache := $root.Values.modelCache -}}
{{- /* A claim cannot shrink, and few can grow: the size it was made with stays. */ -}}
{{- $made := lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $name | dig "spec" "resources" "requests" "storage" "" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "sizeup.labels" (list $root "cache") | nindent 4 }}
  {{- if $cache.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes: {{ toJson $cache.accessModes }}
  {{- if eq $cache.storageClass "-" }}
  storageClassName: ""
  {{- else if $cache.storageClass }}
  storageClassName: {{ $cache.storageClass }}
  {{- end }}
  resources:
    requests:
      storage: {{ $cache.size | default $made | default (include "sizeup.cacheSize" (index . 2)) }}
{{- end }}
