{{/* Where pods that share a disk of one node go. */}}

{{/* Is the cache a disk of one node at a time? */}}
{{- define "sizeup.oneNode" -}}
{{- $cache := .Values.modelCache -}}
{{- if and (ne $cache.mode "ephemeral") (not (has "ReadWriteMany" $cache.accessModes)) }}yes{{ end -}}
{{- end }}

{{/* sizeup.disk: list root, model. The disk of one node that a pod of the model has, as a label's value;
     empty where there is none. */}}
{{- define "sizeup.disk" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- if and $model.needsWeights (include "sizeup.oneNode" $root) -}}
{{- eq $root.Values.modelCache.mode "perModel" | ternary $model.key "shared" -}}
{{- end -}}
{{- end }}

{{/* sizeup.diskLabel: list root, model. For the labels of such a pod. */}}
{{- define "sizeup.diskLabel" -}}
{{- with include "sizeup.disk" . -}}
sizeup.dev/disk: {{ . }}
{{- end -}}
{{- end }}

{{/* sizeup.neighbours: list root, model, affinity. The affinity of a pod of the model: it goes where others
     have its disk. Else a download and the pods that wait for it could each hold the disk against the
     other. The first pod chooses. */}}
{{- define "sizeup.neighbours" -}}
{{- $affinity := deepCopy (index . 2 | default dict) -}}
{{- with include "sizeup.disk" . -}}
{{- $labels := dict "app.kubernetes.io/instance" (index $ 0).Release.Name "sizeup.dev/disk" . -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) -}}
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
{{- $tolerations := $model.tolerations | default list -}}
{{- /* Clusters may tolerate for pods that ask for GPUs what keeps others away; a download asks for none. */ -}}
{{- range $resource := keys ($model.resources.limits | default dict) | sortAlpha -}}
{{- if contains "/" $resource }}{{ $tolerations = append $tolerations (dict "key" $resource "operator" "Exists") }}{{ end -}}
{{- end -}}
{{- $placement = dict "affinity" $affinity "nodeSelector" $model.nodeSelector "tolerations" (uniq $tolerations) -}}
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
{{- if and $model.needsWeights (eq $cache.mode "shared") -}}
{{- $tolerations := list -}}
{{- range $model.tolerations }}{{ $tolerations = append $tolerations (toJson .) }}{{ end -}}
{{- $nodes := list $model.nodeSelector (get $model.affinity "nodeAffinity") (sortAlpha $tolerations) | toJson -}}
{{- $first = $first | default (dict "key" $key "nodes" $nodes) -}}
{{- if ne $first.nodes $nodes -}}
{{- printf "models.%s and models.%s are for different nodes (nodeSelector, tolerations, nodeAffinity), and a ReadWriteOnce disk is on one: give them the same, or use ReadWriteMany, or mode perModel with modelCache.size \"\" (there it is the size of each volume); " $first.key $key -}}
{{- break -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The sizes with a rule of their own about pods beside them, in words: both rules would have to hold. */}}
{{- define "sizeup.ownNeighbours" -}}
{{- if include "sizeup.oneNode" . -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if and $model.needsWeights (dig "podAffinity" "requiredDuringSchedulingIgnoredDuringExecution" "" $model.affinity) -}}
{{- printf "models.%s.affinity.podAffinity requires what others with its disk do not: use nodeSelector, or ReadWriteMany; " $key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
