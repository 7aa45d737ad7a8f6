{{/* Where pods that share a disk of one node go. */}}

{{/* Is the cache a disk of one node at a time? */}}
{{- define "sizeup.oneNode" -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not (has "ReadWriteMany" $cache.accessModes)) }}yes{{ end -}}
{{- end }}

{{/* sizeup.placement: list root, model, affinity. The affinity of a pod that has the model's volume:
     where that is a disk of one node, the node on which other pods have it. Else a download and the
     pods that wait for it could each hold the disk against the other. The first pod goes anywhere. */}}
{{- define "sizeup.placement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $affinity := deepCopy (index . 2 | default dict) -}}
{{- if and $model.needsWeights (include "sizeup.oneNode" $root) -}}
{{- $expressions := list (dict "key" "app.kubernetes.io/component" "operator" "In" "values" (list "inference" "download")) -}}
{{- $labels := dict "app.kubernetes.io/name" "sizeup" "app.kubernetes.io/instance" $root.Release.Name -}}
{{- if eq $root.Values.modelCache.mode "perModel" }}{{ $_ := set $labels "sizeup.dev/model" $model.key }}{{ end -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels "matchExpressions" $expressions) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $required := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $_ := set $pods $required (append (get $pods $required | default list) $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- dict "affinity" $affinity | toJson -}}
{{- end }}

{{/* sizeup.pullPlacement: list root, model. Of the download: on such a disk it must be able to go where
     the size is. */}}
{{- define "sizeup.pullPlacement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $placement := include "sizeup.placement" (list $root $model dict) | fromJson -}}
{{- if include "sizeup.oneNode" $root -}}
{{- $_ := set $placement "tolerations" (concat $root.Values.modelCache.download.tolerations ($model.tolerations | default list) | uniq) -}}
{{- end -}}
{{- toJson $placement -}}
{{- end }}

{{/* The sizes that cannot share a node, in words: no node has two values of one label. */}}
{{- define "sizeup.apart" -}}
{{- $wanted := dict -}}
{{- if and (include "sizeup.oneNode" .) (eq .Values.modelCache.mode "shared") -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- range $label, $value := $model.needsWeights | ternary $model.nodeSelector dict -}}
{{- $other := get $wanted $label | default (dict "key" $key "value" $value) -}}
{{- if ne $other.value $value -}}
{{- printf "models.%s is for nodes with %s=%s and models.%s for %s; " $other.key $label $other.value $key $value -}}
{{- end -}}
{{- $_ := set $wanted $label $other -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
