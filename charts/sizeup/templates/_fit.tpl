{{/*
Does a model fit its profile? All values in GiB.

The engine loads the weights and gives a fraction of the remaining memory to the KV cache, so a KV cache of
k GiB needs k / fraction. With several GPUs each holds its part of both (tensor parallelism), and the sums are
those of all GPUs. On GPUs the fraction is the engine's default (engine/loading/memory.py); on CPUs the chart
sets the size of the KV cache. KV: 2 x layers x kvHeads x headDim values per token, float32 on CPUs.

Without maxModelLen the engine accepts the model's own context, or as many tokens as its KV cache holds if
that is less (startup/load_model.py). Such a model fits if sequences of `minimum` tokens fit, and `context` is
the length it will accept.
*/}}
{{- define "sizeup.fit" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $fraction := $model.gpu | ternary 0.85 0.6 -}}
{{- /* of a CPU: the Python process with torch */ -}}
{{- $runtime := $model.gpu | ternary (include "sizeup.gpuRuntime" $model.count | float64) 0.75 -}}
{{- $gib := 1073741824.0 -}}
{{- $weights := divf (mulf $model.parameters $model.bytesPerWeight) $gib -}}
{{- $bytes := $model.gpu | ternary $model.bytesPerValue 4 -}}
{{- $s := $model.shape -}}
{{- /* Ollama's default context length */ -}}
{{- $minimum := min 4096 ($model.context | default 4096) -}}
{{- $tokens := $model.maxModelLen | default $minimum | int64 -}}
{{- $perToken := 0.0 -}}
{{- if $s }}{{ $perToken = mulf 2 $s.layers $s.kvHeads $s.headDim $bytes }}{{ end -}}
{{- /* A draft model has keys and values of the same tokens. */ -}}
{{- $draft := $model.draft | default dict -}}
{{- with $draft.shape }}{{ $perToken = addf $perToken (mulf 2 .layers .kvHeads .headDim $bytes) }}{{ end -}}
{{- $draftWeights := divf ($draft.weightBytes | default 0) $gib -}}
{{- $kv := divf (mulf $perToken $tokens $root.Values.fit.concurrency) $gib -}}
{{- $available := $model.memoryGiB | float64 -}}
{{- $required := addf $weights $draftWeights $runtime (divf $kv $fraction) -}}
{{- $sized := or (not $draft) (gt (float64 ($draft.parameters | default 0)) 0.0) -}}
{{- $known := and $model.needsWeights $sized (gt (float64 $model.parameters) 0.0) (gt $available 0.0) -}}
{{- $verdict := $known | ternary (le $required $available | ternary "yes" "no") "unknown" -}}
{{- if not $model.needsWeights }}{{ $verdict = "yes" }}{{ $weights = 0.0 }}{{ $kv = 0.0 }}{{ end -}}
{{- $room := mulf $fraction (subf $available $weights $draftWeights $runtime) $gib -}}
{{- $cpuCache := and (not $model.gpu) $known (gt $room 0.0) -}}
{{- $context := 0 -}}
{{- $longest := $model.maxModelLen | default $model.context | int64 -}}
{{- if and $known $longest (gt $perToken 0.0) (gt $room 0.0) }}{{ $context = min $longest (divf $room $perToken | floor | int64) }}{{ end -}}
{{- dict "weights" $weights "draftWeights" $draftWeights "runtime" $runtime "kv" $kv "fraction" $fraction "required" $required "available" $available "verdict" $verdict
  "tokens" $tokens "context" $context
  "cpuCacheBytes" ($cpuCache | ternary (int64 $room) 0) | toJson -}}
{{- end }}

{{/* sizeup.gpuRuntime: number of GPUs. In GiB: a CUDA context per GPU, and with several as much for the buffers of NCCL. */}}
{{- define "sizeup.gpuRuntime" -}}
{{- mulf (gt (int .) 1 | ternary 1.0 0.5) . -}}
{{- end }}

{{/* The errors that fit.onFailure applies to, as JSON. */}}
{{- define "sizeup.fitErrors" -}}
{{- $errors := list -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- with $model.needsWeights | ternary (include "sizeup.unsupported" (list $ $model)) "" }}{{ $errors = append $errors . }}{{ end -}}
{{- if eq $model.fit.verdict "no" }}{{ $errors = append $errors (include "sizeup.memoryError" (list $ $model)) }}{{ end -}}
{{- if and $model.needsWeights $model.context (gt (int64 $model.maxModelLen) (int64 $model.context)) -}}
{{- $errors = append $errors (printf "models.%s.maxModelLen is %d, but the model's context length is %d and the engine would not start: set fit.onFailure=warn if its config.json differs" $key (int64 $model.maxModelLen) (int64 $model.context)) -}}
{{- end -}}
{{- $kvHeads := int64 (get $model.shape "kvHeads") -}}
{{- if and $model.needsWeights $kvHeads (mod $kvHeads (int64 $model.count)) -}}
{{- $errors = append $errors (printf "models.%s.profile is %s:%d, but the model's %d KV heads are not divisible by %d and the engine would not start: use a count of %s, or set fit.onFailure=warn if its config.json differs" $key $model.profileName (int $model.count) $kvHeads (int $model.count) (include "sizeup.counts" $kvHeads | fromJsonArray | join ", ")) -}}
{{- end -}}
{{- range $resource, $amount := (get $.Values.profiles $model.profileName).resources.limits | default dict -}}
{{- if and $model.gpu (gt (int $amount) 1) (regexMatch `^(nvidia[.]com/(gpu([.]shared)?|mig-.+)|amd[.]com/gpu)$` $resource) -}}
{{- $instead := hasSuffix "/gpu" $resource | ternary (printf ", and several by models.%s.profile=%s:%d" $key $model.profileName (int $amount)) "" -}}
{{- $errors = append $errors (printf "profiles.%s requests %d of %s, but the resources of a profile are those of one GPU: request 1%s, or set fit.onFailure=warn" $model.profileName (int $amount) $resource $instead) -}}
{{- end -}}
{{- end -}}
{{- if and $model.gpu (not $model.resources.claims) (not (regexMatch `"[^"]+/[^"]+":` (toJson (dig "limits" dict $model.resources)))) -}}
{{- $errors = append $errors (printf "profiles.%s has gpuMemoryGiB but requests no GPU: add nvidia.com/gpu or another extended resource to resources.limits, or a claim to resources.claims, or set fit.onFailure=warn if GPUs are assigned in another way" $model.profileName) -}}
{{- end -}}
{{- end -}}
{{- concat $errors (include "sizeup.sharedGpuErrors" . | fromJsonArray) (include "sizeup.undersizedClaims" . | fromJsonArray) | uniq | toJson -}}
{{- end }}

{{/* An error for each profile whose sizes share one GPU and take more than its memory, as JSON. A size shares the GPU of
     its profile if one of the profile's sizes has gpuMemoryGiB, a part of it. */}}
{{- define "sizeup.sharedGpuErrors" -}}
{{- $profiles := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if and $model.gpu $model.needsWeights -}}
{{- $sizes := get $profiles $model.profileName | default (dict "total" 0.0 "shared" false "parts" list) -}}
{{- $pods := max (int $model.minReplicas) (int $model.maxReplicas) -}}
{{- $part := printf "models.%s %v GiB%s" $key $model.profile.gpuMemoryGiB (gt $pods 1 | ternary (printf " x %d" $pods) "") -}}
{{- $_ := set $profiles $model.profileName (dict "parts" (append $sizes.parts $part) "shared" (or $sizes.shared $model.isShare)
  "total" (addf $sizes.total (mulf $model.memoryGiB $pods))) -}}
{{- end -}}
{{- end -}}
{{- $errors := list -}}
{{- range $name, $sizes := $profiles -}}
{{- $available := (get $.Values.profiles $name).gpuMemoryGiB -}}
{{- if and $sizes.shared (gt $sizes.total (float64 $available)) -}}
{{- $errors = append $errors (printf "profiles.%s is one GPU of %v GiB that its sizes share by gpuMemoryGiB, but they take %.4g GiB: %s. Give each a smaller part, or another profile to those with a GPU of their own" $name $available $sizes.total (join ", " $sizes.parts)) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end }}

{{/* sizeup.memoryError: list root, model. The calculation, and values that would fit. */}}
{{- define "sizeup.memoryError" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $fit := $model.fit -}}
models.{{ $model.key }} does not fit profile {{ $model.profileName }}:{{ $model.count }}: weights {{ printf "%.1f" $fit.weights }} GiB ({{ printf "%.2f" (divf $model.parameters 1e9) }} billion parameters x {{ $model.bytesPerWeight }} bytes){{ if $model.draft }} + draft model {{ printf "%.1f" $fit.draftWeights }} GiB{{ end }} + runtime {{ printf "%.1f" $fit.runtime }} GiB + KV cache {{ printf "%.1f" $fit.kv }} GiB ({{ $root.Values.fit.concurrency }} sequences x {{ int64 $fit.tokens }} tokens{{ if not $model.maxModelLen }}, the minimum with maxModelLen 0{{ end }}) / {{ $fit.fraction }}, its fraction of the free memory = {{ printf "%.1f" $fit.required }} GiB required, {{ printf "%.1f" $fit.available }} GiB available.
{{- if and $model.gpu (not $model.profile.isPart) (not $model.draft) (eq $model.quantization "none") }}{{ include "sizeup.fittingCount" $model }}{{ end }} A smaller maxModelLen or fit.concurrency reduces the KV cache; fit.onFailure=warn skips this check.
{{- end }}

{{/* sizeup.fittingCount: model. The smallest number of GPUs that it fits and that divides its heads, as a sentence. */}}
{{- define "sizeup.fittingCount" -}}
{{- $model := . -}}
{{- $memory := addf $model.fit.weights $model.fit.draftWeights (divf $model.fit.kv $model.fit.fraction) -}}
{{- $fitting := 0 -}}
{{- range $count := include "sizeup.counts" (get $model.shape "kvHeads" | default 0) | fromJsonArray -}}
{{- $required := addf $memory (include "sizeup.gpuRuntime" $count | float64) -}}
{{- if and (not $fitting) (le $required (mulf $model.profile.gpuMemoryGiB $count)) }}{{ $fitting = $count }}{{ end -}}
{{- end -}}
{{- if $fitting }} It fits {{ $model.profileName }}:{{ $fitting }}.{{ else }} No number of these GPUs that divides its KV heads is enough.{{ end -}}
{{- end }}

{{/* sizeup.counts: KV heads, 0 if unknown. The numbers of GPUs among which they can be divided, and with them the attention
     heads, which are a multiple; as JSON. */}}
{{- define "sizeup.counts" -}}
{{- $kvHeads := int64 . -}}
{{- $counts := list -}}
{{- range $count := untilStep 1 65 1 -}}
{{- if not (mod $kvHeads $count) }}{{ $counts = append $counts $count }}{{ end -}}
{{- end -}}
{{- toJson $counts -}}
{{- end }}

{{/* sizeup.gibibytes: a Kubernetes memory quantity, a number being bytes. In GiB; 0 if it is not a quantity. */}}
{{- define "sizeup.gibibytes" -}}
{{- $text := kindIs "string" . | ternary . (printf "%.3f" (float64 .)) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "Ti" 1099511627776.0 "Gi" 1073741824.0 "Mi" 1048576.0 "Ki" 1024.0 "T" 1e12 "G" 1e9 "M" 1e6 "k" 1e3 "" 1.0 "m" 1e-3 -}}
{{- divf (mulf (regexFind "^[0-9.]+" $text | float64) (get $factors $unit | default 0.0)) 1073741824.0 -}}
{{- end }}
