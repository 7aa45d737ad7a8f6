{{/* The enabled models with all defaults resolved, as JSON by key. All templates read this, so it is computed
     once per release and kept in the root scope, which the templates share. */}}
{{- define "sizeup.models" -}}
{{- if not (hasKey . "sizeupModels") -}}
{{- $_ := set . "sizeupModels" (include "sizeup.resolvedModels" .) -}}
{{- end -}}
{{- .sizeupModels -}}
{{- end }}

{{- define "sizeup.resolvedModels" -}}
{{- include "sizeup.dropNulls" . -}}
{{- $models := dict -}}
{{- range $key, $values := .Values.models -}}
{{- if dig "enabled" true $values -}}
{{- $known := include "sizeup.known" (list $ $values.id) | fromJson -}}
{{- $_ := set $models $key (include "sizeup.model" (list $ $key $values $known) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- toJson $models -}}
{{- end }}

{{/* Null removes a model, or a value of one, that another values file sets. It has a meaning for `replicas` and names in pod
     fields. */}}
{{- define "sizeup.dropNulls" -}}
{{- $meaningful := list "replicas" "topologySpreadConstraints" "priorityClassName" "schedulerName" "runtimeClassName" -}}
{{- range $key, $values := .Values.models -}}
{{- if kindIs "invalid" $values }}{{ $_ := unset $.Values.models $key }}{{ end -}}
{{- range $field, $value := $values | default dict -}}
{{- if and (kindIs "invalid" $value) (not (has $field $meaningful)) }}{{ $_ := unset $values $field }}{{ end -}}
{{- if has $field (list "autoscaling" "limits" "scaleToZero" "source") -}}
{{- range $name, $part := $value | default dict }}{{ if kindIs "invalid" $part }}{{ $_ := unset $value $name }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* sizeup.model: list root, key, values of the model, its entry in files/ladder.yaml */}}
{{- define "sizeup.model" -}}
{{- $root := index . 0 -}}
{{- $key := index . 1 -}}
{{- $values := index . 2 -}}
{{- $known := index . 3 -}}
{{- $model := dict "key" $key "id" $values.id -}}
{{- $_ := set $model "name" (include "sizeup.name" (list $root $key)) -}}
{{- $_ := set $model "revision" ($values.revision | default "main") -}}
{{- $_ := set $model "names" ($values.names | default $known.names | default (list $key)) -}}
{{- $_ := set $model "engine" ($values.engine | default "transformers") -}}
{{- $_ := set $model "dtype" ($values.dtype | default "auto") -}}
{{- $_ := merge $model (include "sizeup.limits" (list $key $values) | fromJson) -}}
{{- $_ := set $model "maxModelLen" ($values.maxModelLen | default 0) -}}
{{- $_ := set $model "concurrency" (dig "limits" "concurrency" 256 $values) -}}
{{- $_ := set $model "queue" (dig "limits" "queue" 512 $values) -}}
{{- $_ := set $model "scaleToZero" (dig "scaleToZero" "enabled" false $values) -}}
{{- $_ := set $model "keepAliveSeconds" (include "sizeup.seconds" (dig "scaleToZero" "keepAlive" "5m" $values)) -}}
{{- $_ := set $model "parameters" ($values.parameters | default $known.parameters | default 0) -}}
{{- $_ := set $model "shape" ($values.shape | default (pick $known "layers" "kvHeads" "headDim")) -}}
{{- $_ := set $model "context" ($known.context | default 0) -}}
{{- $_ := set $model "bytesPerValue" (eq $model.dtype "float32" | ternary 4 2) -}}
{{- $_ := set $model "quantization" ($values.quantization | default "none") -}}
{{- /* 8.5 or 4.5 bits, and more for the head and the embedding */ -}}
{{- $_ := set $model "bytesPerWeight" (get (dict "int8" 1.15 "int4" 0.75) $model.quantization | default $model.bytesPerValue) -}}
{{- $_ := set $model "needsWeights" (ne $model.engine "fake") -}}
{{- $_ := set $model "source" ($model.needsWeights | ternary $values.source dict) -}}
{{- $_ := set $model "isCached" (and $model.needsWeights (empty $model.source)) -}}
{{- with $values.draft }}{{ $_ := set $model "draft" (include "sizeup.draft" (list $root $key . $model) | fromJson) }}{{ end -}}
{{- $_ := set $model "listen" $root.Values.listen -}}
{{- $_ := set $model "endpoint" ($values.endpoint | default (include "sizeup.endpoint" $root)) -}}
{{- $hardware := include "sizeup.hardware" (list $root $key $values) | fromJson -}}
{{- $_ := merge $model $hardware -}}
{{- /* Files of another dtype are converted as a whole before they are quantized, in the memory of the host. */ -}}
{{- if and (not $model.gpu) (or (eq $model.dtype "float32") $known.fileBytesPerWeight) }}{{ $_ := set $model "bytesPerWeight" $model.bytesPerValue }}{{ end -}}
{{- $_ := set $model "tensorParallel" ($model.needsWeights | ternary $model.count 1 | int) -}}
{{- if ne $model.quantization "none" -}}
{{- if and $model.gpu (gt (int $model.count) 1) -}}
{{- fail (printf "models.%s.quantization: quantized weights are placed on one GPU, but profile %s has %d" $key $values.profile (int $model.count)) -}}
{{- end -}}
{{- if and $model.gpu (eq $model.quantization "int4") (not (has $model.dtype (list "auto" "bfloat16"))) -}}
{{- fail (printf "models.%s.dtype: int4 on a GPU computes in bfloat16, not %s" $key $model.dtype) -}}
{{- end -}}
{{- end -}}
{{- if and $model.draft (gt (int $model.tensorParallel) 1) -}}
{{- fail (printf "models.%s.draft: on several GPUs (%s:%d) a model is computed without drafts" $key $model.profileName (int $model.count)) -}}
{{- end -}}
{{- $_ := set $model "image" (include "sizeup.inferenceImage" (list $root $model)) -}}
{{- $_ := merge $model (include "sizeup.files" (list $model ($known.fileBytesPerWeight | default $model.bytesPerValue)) | fromJson) -}}
{{- $_ := set $model "fit" (include "sizeup.fit" (list $root $model) | fromJson) -}}
{{- $_ := set $model "startupSeconds" ($values.startupSeconds | default (include "sizeup.startupSeconds" $model) | int64) -}}
{{- $_ := set $model "strategy" ($values.strategy | default (include "sizeup.strategy" $model | fromYaml)) -}}
{{- toJson $model -}}
{{- end }}

{{/* sizeup.draft: list root, key, draft, model. The model `draft`, as loaded beside the model, whose dtype it has. */}}
{{- define "sizeup.draft" -}}
{{- $root := index . 0 -}}
{{- $key := index . 1 -}}
{{- $draft := index . 2 -}}
{{- $model := index . 3 -}}
{{- $values := get $root.Values.models $draft -}}
{{- if or (not $values) (not (dig "enabled" true $values)) -}}
{{- fail (printf "models.%s.draft: %q is not the key of an enabled model" $key $draft) -}}
{{- end -}}
{{- if eq $draft $key -}}
{{- fail (printf "models.%s.draft: a model cannot draft for itself" $key) -}}
{{- end -}}
{{- if or (not $model.needsWeights) (eq ($values.engine | default "transformers") "fake") -}}
{{- fail (printf "models.%s.draft: both models require engine transformers" $key) -}}
{{- end -}}
{{- if or $values.source $model.source -}}
{{- fail (printf "models.%s.draft: both models are loaded from the model cache, remove source" $key) -}}
{{- end -}}
{{- if ne $root.Values.modelCache.mode "shared" -}}
{{- fail (printf "models.%s.draft requires modelCache.mode=shared: with mode=%s a pod has the weights of its own model only" $key $root.Values.modelCache.mode) -}}
{{- end -}}
{{- $known := include "sizeup.known" (list $root $values.id) | fromJson -}}
{{- $parameters := $values.parameters | default $known.parameters | default 0 -}}
{{- dict "key" $draft "id" $values.id "revision" ($values.revision | default "main") "parameters" $parameters
  "weightBytes" (mulf $parameters $model.bytesPerValue)
  "shape" ($values.shape | default (pick $known "layers" "kvHeads" "headDim")) | toJson -}}
{{- end }}

{{/* sizeup.hardware: list root, key, values of the model. The profile, multiplied by its count, and the pod fields. */}}
{{- define "sizeup.hardware" -}}
{{- $root := index . 0 -}}
{{- $key := index . 1 -}}
{{- $values := index . 2 -}}
{{- $parts := splitList ":" ($values.profile | default "cpu") -}}
{{- $profile := get $root.Values.profiles (first $parts) -}}
{{- if not $profile -}}
{{- fail (printf "models.%s.profile: unknown profile %q, expected one of %s" $key (first $parts) (keys $root.Values.profiles | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $count := gt (len $parts) 1 | ternary (last $parts) "1" | int -}}
{{- $gpu := gt ($profile.gpuMemoryGiB | float64) 0.0 -}}
{{- if and (gt $count 1) (not $gpu) -}}
{{- fail (printf "models.%s.profile: profile %s has no GPU, so it cannot be multiplied by %d" $key (first $parts) $count) -}}
{{- end -}}
{{- $extended := include "sizeup.extendedResources" $profile.resources | fromJsonArray -}}
{{- include "sizeup.checkDevices" (dict "key" $key "profile" (first $parts) "count" $count "gpu" $gpu "extended" $extended) -}}
{{- $gpuMemory := include "sizeup.gpuMemory" (list $key $values $profile (first $parts) $count) | float64 -}}
{{- $resources := deepCopy $profile.resources -}}
{{- range $amounts := list $resources.requests $resources.limits -}}
{{- range $resource, $amount := $amounts | default dict -}}
{{- /* HAMi's memory and cores are those of each GPU. */ -}}
{{- if and (gt $count 1) (or (contains "/" $resource) (has $resource (list "cpu" "memory"))) (not (regexMatch `^nvidia[.]com/gpu(mem|cores)` $resource)) -}}
{{- $_ := set $amounts $resource (include "sizeup.multiple" (list $amount $count)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $fields := include "sizeup.podFields" (list $root.Values.inference $profile $values) | fromJson -}}
{{- $own := $fields.tolerations -}}
{{- $_ := set $fields "tolerations" (concat $own (include "sizeup.resourceTolerations" (list $extended $own) | fromJsonArray)) -}}
{{- $memory := $gpu | ternary (mulf $gpuMemory $count) (include "sizeup.gibibytes" (dig "limits" "memory" "" $resources) | float64) -}}
{{- $cost := $profile.hourlyCost | default 0 -}}
{{- $isShare := not (empty $values.gpuMemoryGiB) -}}
{{- /* A part of a GPU, which no number of them makes larger for one process. */ -}}
{{- $isPart := or $isShare (regexMatch `/mig-|[.]shared"` (toJson $extended)) -}}
{{- if $isShare }}{{ $cost = divf (mulf $cost $gpuMemory) $profile.gpuMemoryGiB }}{{ end -}}
{{- dict "profileName" (first $parts) "count" $count "gpu" $gpu "resources" $resources "memoryGiB" $memory "ownTolerations" $own
  "profile" (dict "image" ($profile.image | default dict) "gpuMemoryGiB" $gpuMemory "hourlyCost" $cost "extended" $extended "isPart" $isPart)
  "isShare" $isShare
  | merge $fields | toJson -}}
{{- end }}

{{/* sizeup.multiple: list amount, count. A Kubernetes quantity, multiplied. */}}
{{- define "sizeup.multiple" -}}
{{- $amount := index . 0 -}}
{{- $text := kindIs "string" $amount | ternary $amount (printf "%.3f" (float64 $amount)) -}}
{{- $number := mulf (regexFind "^[0-9.]+" $text) (index . 1) | printf "%.3f" -}}
{{- regexReplaceAll "[.]?0+$" $number "" }}{{ regexReplaceAll "^[0-9.]+" $text "" -}}
{{- end }}

{{- define "sizeup.endpoint" -}}
{{- .Values.huggingface.endpoint | default (.Values.mirror.enabled | ternary (include "sizeup.mirrorUrl" .) "") -}}
{{- end }}

{{/* Two minutes to import torch and warm up, plus one per billion parameters, which is 35 MB/s from a
     network volume. */}}
{{- define "sizeup.startupSeconds" -}}
{{- add 120 (mul 60 (divf .loadParameters 1e9 | ceil)) -}}
{{- end }}

{{/* On a fully allocated GPU pool the old pod must release its GPU before a new one can start; on CPUs the new
     pod starts first. */}}
{{- define "sizeup.strategy" -}}
{{- if and .gpu (not (include "sizeup.maySeveral" .)) -}}
type: Recreate
{{- else if .gpu -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
{{- else -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
{{- end }}

{{/* sizeup.seconds: an integer, or a duration with unit s, m or h. In seconds. */}}
{{- define "sizeup.seconds" -}}
{{- $text := toString . -}}
{{- $factor := get (dict "s" 1 "m" 60 "h" 3600) (trimAll "0123456789" $text) | default 1 -}}
{{- mul (trimAll "smh" $text | int64) $factor -}}
{{- end }}
