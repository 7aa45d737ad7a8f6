{{/* Scheduling of pods that share a volume which attaches to one node. */}}

{{/* "yes" if the cache volume attaches to one node at a time, else empty. */}}
{{- define "sizeup.singleNodeCache" -}}
{{- $cache := .Values.modelCache -}}
{{- $readByMany := and (has "ReadOnlyMany" $cache.accessModes) (not $cache.download.enabled) -}}
{{- if not (or (eq $cache.mode "ephemeral") $cache.nfs.server (has "ReadWriteMany" $cache.accessModes) $readByMany) }}yes{{ end -}}
{{- end }}

{{/* sizeup.disk: list root, model. The single-node volume that a pod of the model mounts, as a label value; empty
     if there is none. */}}
{{- define "sizeup.disk" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- if and $model.isCached (include "sizeup.singleNodeCache" $root) -}}
{{- eq $root.Values.modelCache.mode "perModel" | ternary $model.key "shared" -}}
{{- end -}}
{{- end }}

{{/* sizeup.diskLabel: list root, model. The pod label that sizeup.sharedVolumeAffinity selects by. */}}
{{- define "sizeup.diskLabel" -}}
{{- with include "sizeup.disk" . -}}
sizeup.dev/disk: {{ . }}
{{- end -}}
{{- end }}

{{/* sizeup.sharedVolumeAffinity: list root, model, affinity. The affinity, extended so that the pod is scheduled
     with the other pods of its single-node volume. Without it a download and the pods waiting for it could be
     bound to different nodes and deadlock. The first pod chooses the node. */}}
{{- define "sizeup.sharedVolumeAffinity" -}}
{{- $affinity := deepCopy (index . 2 | default dict) -}}
{{- with include "sizeup.disk" . -}}
{{- $labels := dict "app.kubernetes.io/name" (index $ 0).Chart.Name "app.kubernetes.io/instance" (index $ 0).Release.Name "sizeup.dev/disk" . -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (list $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- toJson $affinity -}}
{{- end }}

{{/* sizeup.pullPlacement: list root, model. Pod fields of the download in place of its own. On a single-node volume it follows
     the model's rules: the volume must not be provisioned where the model cannot run. */}}
{{- define "sizeup.pullPlacement" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $placement := dict -}}
{{- if include "sizeup.singleNodeCache" $root -}}
{{- $affinity := include "sizeup.sharedVolumeAffinity" (list $root $model (pick $model.affinity "nodeAffinity")) | fromJson -}}
{{- $placement = dict "affinity" $affinity "nodeSelector" $model.nodeSelector "tolerations" $model.tolerations -}}
{{- end -}}
{{- toJson $placement -}}
{{- end }}

{{/* An error if models on one single-node volume have different scheduling rules. Each keeps its own rules, so
     that changing one model does not change the pods of another; therefore they must be equal. */}}
{{- define "sizeup.conflictingPlacement" -}}
{{- if include "sizeup.singleNodeCache" . -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.download.enabled (or $cache.download.nodeSelector $cache.download.tolerations $cache.download.affinity) -}}
{{- print "downloads to a ReadWriteOnce volume are scheduled with the model: remove modelCache.download.nodeSelector, tolerations and affinity; " -}}
{{- end -}}
{{- $first := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if and $model.isCached (eq $cache.mode "shared") -}}
{{- /* Tolerations are equal as written, or with those that the chart adds for extended resources. */ -}}
{{- $nodes := list $model.nodeSelector (get $model.affinity "nodeAffinity") -}}
{{- $own := include "sizeup.sortedObjects" $model.ownTolerations | append $nodes | toJson -}}
{{- $all := include "sizeup.sortedObjects" $model.tolerations | append $nodes | toJson -}}
{{- $first = $first | default (dict "key" $key "own" $own "all" $all) -}}
{{- if and (ne $first.own $own) (ne $first.all $all) -}}
{{- printf "models.%s and models.%s have different nodeSelector, tolerations or nodeAffinity, but share a ReadWriteOnce volume: make them equal, or use ReadWriteMany, or modelCache.mode=perModel with modelCache.size=\"\" (size is per volume there); " $first.key $key -}}
{{- break -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The objects of a list in an order of their own, as text. */}}
{{- define "sizeup.sortedObjects" -}}
{{- $texts := list -}}
{{- range . }}{{ $texts = append $texts (toJson .) }}{{ end -}}
{{- sortAlpha $texts | join "," -}}
{{- end }}

{{/* An error for each model on a single-node volume with its own required podAffinity: both would have to match. */}}
{{- define "sizeup.conflictingPodAffinity" -}}
{{- if include "sizeup.singleNodeCache" . -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if and $model.isCached (dig "podAffinity" "requiredDuringSchedulingIgnoredDuringExecution" "" $model.affinity) -}}
{{- printf "models.%s.affinity.podAffinity conflicts with the pod affinity of its ReadWriteOnce volume: use nodeSelector, or ReadWriteMany; " $key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
