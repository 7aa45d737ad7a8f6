{{/* sizeup.prefetches: modelCache.prefetch in the shape of "sizeup.models", as a JSON list. They have no key: no size serves them. */}}
{{- define "sizeup.prefetches" -}}
{{- $root := . -}}
{{- $ladder := .Files.Get "files/ladder.yaml" | fromYaml -}}
{{- /* Pods on one single-node volume have equal rules: see _placement.tpl. */ -}}
{{- $placement := pick (include "sizeup.models" . | fromJson | values | first | default dict) "affinity" "nodeSelector" "tolerations" "resources" -}}
{{- $prefetches := list -}}
{{- range .Values.modelCache.prefetch -}}
{{- $parameters := .parameters | default (get $ladder .id | default dict).parameters | default 0 -}}
{{- $prefetch := dict "key" "" "id" .id "revision" (.revision | default "main") "needsWeights" true "parameters" $parameters -}}
{{- $_ := set $prefetch "weightBytes" (mulf $parameters 2) -}}
{{- $_ := set $prefetch "endpoint" (.endpoint | default (include "sizeup.endpoint" $root)) -}}
{{- $prefetches = append $prefetches (merge $prefetch (deepCopy $placement)) -}}
{{- end -}}
{{- toJson $prefetches -}}
{{- end }}

{{- define "sizeup.checkPrefetch" -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.prefetch (or (ne $cache.mode "shared") (not $cache.download.enabled)) -}}
{{- fail "modelCache.prefetch requires modelCache.mode=shared and modelCache.download.enabled=true" -}}
{{- end -}}
{{- range include "sizeup.prefetches" . | fromJsonArray -}}
{{- if not (or .parameters $cache.size $cache.existingClaim $cache.nfs.server) -}}
{{- fail (printf "modelCache.prefetch: the size of %s is unknown: set its parameters, or modelCache.size" .id) -}}
{{- end -}}
{{- end -}}
{{- end }}
