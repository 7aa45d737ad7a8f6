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
{{- $made := include "sizeup.cacheMade" (list $root $name) -}}
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

{{/* sizeup.cacheMade: list root, name. The size a claim was made with; nothing for one that is not there. */}}
{{- define "sizeup.cacheMade" -}}
{{- include "sizeup.live" (list (index . 0) "PersistentVolumeClaim" (index . 1)) | fromJson | dig "spec" "resources" "requests" "storage" "" -}}
{{- end }}

{{/* The claims the chart makes: the models in each, as JSON by name. */}}
{{- define "sizeup.claims" -}}
{{- $root := . -}}
{{- $claims := dict -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not $cache.existingClaim) -}}
{{- range $model := include "sizeup.models" . | fromJson -}}
{{- if $model.needsWeights -}}
{{- $name := eq $cache.mode "perModel" | ternary (list $root "cache" $model.key) (list $root "cache") | include "sizeup.name" -}}
{{- $_ := set $claims $name (append (get $claims $name | default list) $model) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $claims -}}
{{- end }}

{{/* The claims that are too small for the weights of their models, in words, as JSON. */}}
{{- define "sizeup.smallClaims" -}}
{{- $root := . -}}
{{- $small := list -}}
{{- range $name, $models := include "sizeup.claims" . | fromJson -}}
{{- $size := $root.Values.modelCache.size | default (include "sizeup.cacheMade" (list $root $name)) -}}
{{- $have := include "sizeup.gibibytes" $size | float64 -}}
{{- $bytes := 0.0 -}}
{{- /* two bytes a parameter, as they are published, whatever dtype they are loaded as */ -}}
{{- range $models }}{{ $bytes = addf $bytes (mulf .parameters 2) }}{{ end -}}
{{- $need := divf $bytes 1073741824.0 -}}
{{- if and $size (gt $have 0.0) (gt $need $have) -}}
{{- $small = append $small (printf "the volume %s has %s (%.1f GiB) and the weights of %d models take %.1f GiB: modelCache.size=%s holds them, where the storage class lets a volume grow" $name $size $have (len $models) $need (include "sizeup.cacheSize" $models)) -}}
{{- end -}}
{{- end -}}
{{- toJson $small -}}
{{- end }}
