{{/* sizeup.cacheVolume: list root, model, read-only. The volume source of the model's weights. */}}
{{- define "sizeup.cacheVolume" -}}
{{- $root := index . 0 -}}
{{- $cache := $root.Values.modelCache -}}
{{- $readOnly := index . 2 -}}
{{- /* A ReadOnlyMany volume is attached to several nodes only for pods that claim to read only. */ -}}
{{- $claimReadOnly := and $readOnly (has "ReadOnlyMany" $cache.accessModes) (not $cache.download.enabled) | ternary ", readOnly: true" "" -}}
{{- if eq $cache.mode "ephemeral" -}}
emptyDir: {sizeLimit: {{ include "sizeup.cacheSize" (list (index . 1)) }}}
{{- else if $cache.nfs.server -}}
nfs: {{ dict "server" $cache.nfs.server "path" $cache.nfs.path "readOnly" $readOnly | toJson }}
{{- else if eq $cache.mode "perModel" -}}
persistentVolumeClaim: {claimName: {{ include "sizeup.name" (list $root "cache" (index . 1).key) }}{{ $claimReadOnly }}}
{{- else -}}
persistentVolumeClaim: {claimName: {{ $cache.existingClaim | default (include "sizeup.name" (list $root "cache")) }}{{ $claimReadOnly }}}
{{- end -}}
{{- end }}

{{/* sizeup.cacheMount: list root, read-only. The mount of the weights. */}}
{{- define "sizeup.cacheMount" -}}
{{- $subPath := (index . 0).Values.modelCache.subPath -}}
- {name: models, mountPath: /models{{ if index . 1 }}, readOnly: true{{ end }}{{ with $subPath }}, subPath: {{ . | quote }}{{ end }}}
{{- end }}

{{/* sizeup.cacheSize: models. 1.2 x the weights, for tokenizers and the small files of another revision. */}}
{{- define "sizeup.cacheSize" -}}
{{- $bytes := 0.0 -}}
{{- range . -}}
{{- $bytes = addf $bytes .weightBytes -}}
{{- end -}}
{{- divf (mulf $bytes 1.2) 1073741824.0 | ceil }}Gi
{{- end }}

{{/* sizeup.cacheClaim: list root, name, models */}}
{{- define "sizeup.cacheClaim" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $cache := $root.Values.modelCache -}}
{{- /* A claim cannot shrink, and not every class can expand it: an existing claim keeps its size. */ -}}
{{- $current := include "sizeup.currentCacheSize" (list $root $name) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "sizeup.labels" (list $root "cache" $cache.labels) | nindent 4 }}
  {{- with mergeOverwrite ($cache.keep | ternary (dict "helm.sh/resource-policy" "keep") dict) ($cache.annotations | default dict) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  accessModes: {{ toJson $cache.accessModes }}
  {{- if eq $cache.storageClass "-" }}
  storageClassName: ""
  {{- else if $cache.storageClass }}
  storageClassName: {{ $cache.storageClass }}
  {{- end }}
  {{- with $cache.volumeName }}
  volumeName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $cache.size | default $current | default (include "sizeup.cacheSize" (index . 2)) }}
{{- end }}

{{/* sizeup.currentCacheSize: list root, name. The requested size of an existing claim, or nothing. */}}
{{- define "sizeup.currentCacheSize" -}}
{{- include "sizeup.lookup" (list (index . 0) "PersistentVolumeClaim" (index . 1)) | fromJson | dig "spec" "resources" "requests" "storage" "" -}}
{{- end }}

{{/* The chart's own claims: the models on each, as JSON by claim name. */}}
{{- define "sizeup.claims" -}}
{{- $root := . -}}
{{- $claims := dict -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not $cache.existingClaim) (not $cache.nfs.server) -}}
{{- range $model := include "sizeup.models" . | fromJson -}}
{{- if $model.isCached -}}
{{- $name := eq $cache.mode "perModel" | ternary (list $root "cache" $model.key) (list $root "cache") | include "sizeup.name" -}}
{{- $_ := set $claims $name (append (get $claims $name | default list) $model) -}}
{{- end -}}
{{- end -}}
{{- with include "sizeup.prefetches" . | fromJsonArray -}}
{{- $name := include "sizeup.name" (list $root "cache") -}}
{{- $_ := set $claims $name (concat (get $claims $name | default list) .) -}}
{{- end -}}
{{- end -}}
{{- toJson $claims -}}
{{- end }}

{{/* An error for each claim that is smaller than the weights of its models, as JSON. */}}
{{- define "sizeup.undersizedClaims" -}}
{{- $root := . -}}
{{- $errors := list -}}
{{- range $name, $models := include "sizeup.claims" . | fromJson -}}
{{- $size := $root.Values.modelCache.size | default (include "sizeup.currentCacheSize" (list $root $name)) -}}
{{- $available := include "sizeup.gibibytes" $size | float64 -}}
{{- $bytes := 0.0 -}}
{{- /* Two bytes per parameter: the size of the published files, whatever dtype they are loaded as. */ -}}
{{- range $models }}{{ $bytes = addf $bytes (minf .weightBytes (mulf .parameters 2)) }}{{ end -}}
{{- $required := divf $bytes 1073741824.0 -}}
{{- if and $size (gt $available 0.0) (gt $required $available) -}}
{{- $errors = append $errors (printf "volume %s has %s (%.1f GiB), but the weights of its models (%d) need %.1f GiB: set modelCache.size=%s if the storage class allows expansion" $name $size $available (len $models) $required (include "sizeup.cacheSize" $models)) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end }}
