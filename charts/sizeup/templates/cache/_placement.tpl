{{/* Where pods that share a disk of one node go. */}}

{{/* Is the cache a disk of one node at a time? */}}
{{- define "sizeup.oneNode" -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not (has "ReadWriteMany" $cache.accessModes)) }}yes{{ end -}}
{{- end }}

{{/* sizeup.placement: list root, model, affinity. Of a pod that has the model's volume: where that is a
     disk of one node, all who have it take the same nodes, and of them the one on which others have it.
     Else a download and the pods that wait for it could each hold the disk against the other, or the
     disk be made where they cannot go. The first pod chooses. */}}
{{- define "sizeup.placement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $affinity := deepCopy (index . 2 | default dict) -}}
{{- $placement := dict "affinity" $affinity -}}
{{- if and $model.needsWeights (include "sizeup.oneNode" $root) -}}
{{- $expressions := list (dict "key" "app.kubernetes.io/component" "operator" "In" "values" (list "inference" "download")) -}}
{{- $labels := dict "app.kubernetes.io/name" "sizeup" "app.kubernetes.io/instance" $root.Release.Name -}}
{{- if eq $root.Values.modelCache.mode "perModel" }}{{ $_ := set $labels "sizeup.dev/model" $model.key }}{{ end -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels "matchExpressions" $expressions) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (list $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- $placement = include "sizeup.commonNodes" (list $root $model) | fromJson | merge $placement -}}
{{- end -}}
{{- toJson $placement -}}
{{- end }}

{{/* sizeup.commonNodes: list root, model. The nodes that everybody takes who has the model's volume. */}}
{{- define "sizeup.commonNodes" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $cache := $root.Values.modelCache -}}
{{- $nodes := dict -}}
{{- $tolerations := list -}}
{{- if $cache.download.enabled -}}
{{- $nodes = deepCopy ($cache.download.nodeSelector | default dict) -}}
{{- $tolerations = $cache.download.tolerations | default list -}}
{{- end -}}
{{- range $key, $other := include "sizeup.models" $root | fromJson -}}
{{- if and $other.needsWeights (or (eq $cache.mode "shared") (eq $key $model.key)) -}}
{{- $nodes = merge $nodes ($other.nodeSelector | default dict) -}}
{{- $tolerations = concat $tolerations ($other.tolerations | default list) -}}
{{- end -}}
{{- end -}}
{{- dict "nodeSelector" $nodes "tolerations" (uniq $tolerations) | toJson -}}
{{- end }}

{{/* sizeup.pullPlacement: list root, model. Of the download: on such a disk it goes where the size may. */}}
{{- define "sizeup.pullPlacement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $anywhere := include "sizeup.oneNode" $root | empty -}}
{{- include "sizeup.placement" (list $root $model ($anywhere | ternary dict (pick $model.affinity "nodeAffinity"))) -}}
{{- end }}

{{/* Who has such a disk and cannot share a node, in words: no node has two values of one label. */}}
{{- define "sizeup.apart" -}}
{{- if include "sizeup.oneNode" . -}}
{{- $cache := .Values.modelCache -}}
{{- $pulls := $cache.download.enabled | ternary ($cache.download.nodeSelector | default dict) dict -}}
{{- $wanted := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- range $label, $value := $model.needsWeights | ternary $model.nodeSelector dict -}}
{{- $pull := get $pulls $label | default $value -}}
{{- if ne $pull $value -}}
{{- printf "modelCache.download.nodeSelector has %s=%s and models.%s is for nodes with %s: leave it out, or use ReadWriteMany; " $label $pull $key $value -}}
{{- end -}}
{{- $other := get $wanted $label | default (dict "key" $key "value" $value) -}}
{{- if and (ne $other.value $value) (eq $cache.mode "shared") -}}
{{- printf "models.%s is for nodes with %s=%s and models.%s for %s: use ReadWriteMany, or mode perModel with modelCache.size \"\" (there it is the size of each volume); " $other.key $label $other.value $key $value -}}
{{- end -}}
{{- $_ := set $wanted $label $other -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The sizes with rules of their own about their node, which the others on such a disk do not have, in
     words. Two rules about pods would both have to hold; one about nodes its own download has too. */}}
{{- define "sizeup.ownNode" -}}
{{- if include "sizeup.oneNode" . -}}
{{- $shared := eq .Values.modelCache.mode "shared" -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- range $kind := $shared | ternary (list "podAffinity" "nodeAffinity") (list "podAffinity") -}}
{{- if and $model.needsWeights (dig $kind "requiredDuringSchedulingIgnoredDuringExecution" "" $model.affinity) -}}
{{- printf "models.%s.affinity.%s requires what others who share its disk do not: use nodeSelector, or ReadWriteMany; " $key $kind -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
