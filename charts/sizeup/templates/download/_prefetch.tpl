{{/* sizeup.prefetches: modelCache.prefetch in the shape of "sizeup.models", as a JSON list. They have no key: no size serves them. */}}
{{- define "sizeup.prefetches" -}}
{{- $root := . -}}
{{- /* Pods on one single-node volume have equal rules: see _placement.tpl. */ -}}
{{- $placement := dict "affinity" dict "nodeSelector" dict "tolerations" list -}}
{{- range include "sizeup.models" . | fromJson -}}
{{- if .isCached }}{{ $placement = pick . "affinity" "nodeSelector" "tolerations" }}{{ end -}}
{{- end -}}
{{- $prefetches := list -}}
{{- range .Values.modelCache.prefetch -}}
{{- $known := include "sizeup.known" (list $root .id) | fromJson -}}
{{- $parameters := .parameters | default $known.parameters | default 0 -}}
{{- $prefetch := dict "key" "" "id" .id "revision" (.revision | default "main") "isCached" true "parameters" $parameters -}}
{{- $_ := set $prefetch "weightBytes" (mulf $parameters ($known.fileBytesPerWeight | default 2)) -}}
{{- $_ := set $prefetch "endpoint" (.endpoint | default (include "sizeup.endpoint" $root)) -}}
{{- $prefetches = append $prefetches (merge $prefetch (deepCopy $placement)) -}}
{{- end -}}
{{- $prefetches | uniq | toJson -}}
{{- end }}

{{- define "sizeup.checkPrefetch" -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.prefetch (or (ne $cache.mode "shared") (not $cache.download.enabled)) -}}
{{- fail "modelCache.prefetch requires modelCache.mode=shared and modelCache.download.enabled=true" -}}
{{- end -}}
{{- range include "sizeup.prefetches" . | fromJsonArray -}}
{{- if and (include "sizeup.unsupported" (list $ .)) (eq $.Values.fit.onFailure "fail") -}}
{{- fail (printf "modelCache.prefetch: no size could serve %s, which the image has no code for: fit.onFailure=warn downloads it nevertheless" .id) -}}
{{- end -}}
{{- if not (or .parameters $cache.size $cache.existingClaim $cache.nfs.server) -}}
{{- fail (printf "modelCache.prefetch: the size of %s is unknown: set its parameters, or modelCache.size" .id) -}}
{{- end -}}
{{- end -}}
{{- end }}
