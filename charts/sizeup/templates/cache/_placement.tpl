{{/* Where pods that share a disk of one node go. */}}

{{/* Is the cache a disk of one node at a time? */}}
{{- define "sizeup.oneNode" -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not (has "ReadWriteMany" $cache.accessModes)) }}yes{{ end -}}
{{- end }}

{{/* sizeup.neighbours: list root, model, affinity. The affinity of a pod that has the model's volume: where
     that is a disk of one node, it goes where others have it. Else a download and the pods that wait for
     it could each hold the disk against the other. The first pod chooses. */}}
{{- define "sizeup.neighbours" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $affinity := deepCopy (index . 2 | default dict) -}}
{{- if and $model.needsWeights (include "sizeup.oneNode" $root) -}}
{{- $expressions := list (dict "key" "app.kubernetes.io/component" "operator" "In" "values" (list "inference" "download")) -}}
{{- $labels := dict "app.kubernetes.io/name" "sizeup" "app.kubernetes.io/instance" $root.Release.Name -}}
{{- if eq $root.Values.modelCache.mode "perModel" }}{{ $_ := set $labels "sizeup.dev/model" $model.key }}{{ end -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels "matchExpressions" $expressions) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (list $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- toJson $affinity -}}
{{- end }}

{{/* sizeup.pullPlacement: list root, model. Of the download: on such a disk it goes where its size may, or
     the disk could be made where the size cannot follow. */}}
{{- define "sizeup.pullPlacement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $placement := pick $root.Values.modelCache.download "nodeSelector" "tolerations" -}}
{{- if include "sizeup.oneNode" $root -}}
{{- $affinity := include "sizeup.neighbours" (list $root $model (pick $model.affinity "nodeAffinity")) | fromJson -}}
{{- $placement = merge (dict "affinity" $affinity) (pick $model "nodeSelector" "tolerations") -}}
{{- end -}}
{{- toJson $placement -}}
{{- end }}

{{/* Who has such a disk and is for other nodes than the others, in words. Each keeps its own rules, so that
     a change of one size changes no other; so they must be the same. */}}
{{- define "sizeup.apart" -}}
{{- if include "sizeup.oneNode" . -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.download.enabled (or $cache.download.nodeSelector $cache.download.tolerations) -}}
{{- print "a ReadWriteOnce disk is where its size is, and so are downloads: leave out modelCache.download.nodeSelector and tolerations; " -}}
{{- end -}}
{{- $first := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- $nodes := pick $model "nodeSelector" "tolerations" | toJson -}}
{{- if and $model.needsWeights (eq $cache.mode "shared") -}}
{{- $first = $first | default (dict "key" $key "nodes" $nodes) -}}
{{- if ne $first.nodes $nodes -}}
{{- printf "models.%s and models.%s are for different nodes (nodeSelector, tolerations), and a ReadWriteOnce disk is on one: give them the same, or use ReadWriteMany, or mode perModel with modelCache.size \"\" (there it is the size of each volume); " $first.key $key -}}
{{- end -}}
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
