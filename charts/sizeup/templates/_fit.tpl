{{/*
Does a size fit its profile? All in GiB.

The engine loads the weights and gives a share of what they leave free to the KV cache, so a KV
cache of k needs k / share. On GPUs share is the engine's own (loader.py); on CPUs the chart sets
the cache's size itself. KV: 2 x layers x kvHeads x headDim values a token, float32 on CPUs.

Without maxModelLen the engine accepts the model's own context, or as many tokens as its cache holds
when that is less (start.py). So such a size fits when answers of `least` tokens have room, and
`context` is what it will accept: its cache's tokens and not more than it was trained for.
*/}}
{{- define "sizeup.fit" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $share := $model.gpu | ternary 0.85 0.6 -}}
{{- /* a CUDA context per GPU, or Python with torch */ -}}
{{- $runtime := $model.gpu | ternary (mulf 0.5 $model.count) 0.75 -}}
{{- $gib := 1073741824.0 -}}
{{- $weights := divf $model.weightBytes $gib -}}
{{- $bytes := $model.gpu | ternary $model.bytesPerValue 4 -}}
{{- $s := $model.shape -}}
{{- /* Ollama's own context: what its users' prompts are made for */ -}}
{{- $least := min 4096 ($model.context | default 4096) -}}
{{- $tokens := $model.maxModelLen | default $least | int64 -}}
{{- $perToken := 0.0 -}}
{{- if $s }}{{ $perToken = mulf 2 $s.layers $s.kvHeads $s.headDim $bytes }}{{ end -}}
{{- $kv := divf (mulf $perToken $tokens $root.Values.fit.concurrency) $gib -}}
{{- $memory := dig "limits" "memory" "" $model.resources -}}
{{- $have := $model.gpu | ternary (mulf $model.profile.gpuMemoryGiB $model.count) (include "sizeup.gibibytes" $memory | float64) -}}
{{- $need := addf $weights $runtime (divf $kv $share) -}}
{{- $known := and $model.needsWeights (gt (float64 $model.parameters) 0.0) (gt $have 0.0) -}}
{{- $verdict := $known | ternary (le $need $have | ternary "yes" "no") "unknown" -}}
{{- if not $model.needsWeights }}{{ $verdict = "yes" }}{{ $weights = 0.0 }}{{ $kv = 0.0 }}{{ end -}}
{{- $room := mulf $share (subf $have $weights $runtime) $gib -}}
{{- $cpuCache := and (not $model.gpu) $known (gt $room 0.0) -}}
{{- $context := 0 -}}
{{- $longest := $model.maxModelLen | default $model.context | int64 -}}
{{- if and $known $longest (gt $perToken 0.0) (gt $room 0.0) }}{{ $context = min $longest (divf $room $perToken | floor | int64) }}{{ end -}}
{{- dict "weights" $weights "runtime" $runtime "kv" $kv "share" $share "need" $need "have" $have "verdict" $verdict
  "tokens" $tokens "context" $context
  "cpuCacheBytes" ($cpuCache | ternary (int64 $room) 0) | toJson -}}
{{- end }}

{{/* What fit.onFailure decides about, in words, as JSON. */}}
{{- define "sizeup.misfits" -}}
{{- $said := list -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if eq $model.fit.verdict "no" }}{{ $said = append $said (include "sizeup.misfit" (list $ $model)) }}{{ end -}}
{{- if and $model.needsWeights $model.context (gt (int64 $model.maxModelLen) (int64 $model.context)) -}}
{{- $said = append $said (printf "models.%s.maxModelLen is %d and the model's own context %d: the engine refuses to start; fit.onFailure=warn where its config.json says otherwise" $key (int64 $model.maxModelLen) (int64 $model.context)) -}}
{{- end -}}
{{- if and $model.gpu (not (regexMatch `"[^"]+/[^"]+":` (toJson (dig "limits" dict $model.resources)))) -}}
{{- $said = append $said (printf "profiles.%s has gpuMemoryGiB and asks for no GPU: resources.limits needs nvidia.com/gpu or its like; fit.onFailure=warn where they come in another way" $model.profileName) -}}
{{- end -}}
{{- end -}}
{{- concat $said (include "sizeup.smallClaims" . | fromJsonArray) | uniq | toJson -}}
{{- end }}

{{/* sizeup.misfit: list root, model. What is wrong, in numbers, and what would help. */}}
{{- define "sizeup.misfit" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $fit := $model.fit -}}
models.{{ $model.key }} does not fit profile {{ $model.profileName }}:{{ $model.count }}: weights {{ printf "%.1f" $fit.weights }} GiB ({{ printf "%.2f" (divf $model.parameters 1e9) }} billion parameters x {{ $model.bytesPerValue }} bytes) + runtime {{ printf "%.1f" $fit.runtime }} GiB + KV cache {{ printf "%.1f" $fit.kv }} GiB ({{ $root.Values.fit.concurrency }} x {{ int64 $fit.tokens }} tokens{{ if not $model.maxModelLen }}, the least without a maxModelLen{{ end }}) / {{ $fit.share }}, the share of free memory it gets = {{ printf "%.1f" $fit.need }} GiB; there are {{ printf "%.1f" $fit.have }} GiB.
{{- if $model.gpu }}
{{- $perGpu := subf $model.profile.gpuMemoryGiB 0.5 }} {{ $model.profileName }}:{{ divf (addf $fit.weights (divf $fit.kv $fit.share)) $perGpu | ceil }} would do.
{{- end }} A smaller maxModelLen or fit.concurrency needs less KV cache; fit.onFailure=warn installs it anyway.
{{- end }}

{{/* A Kubernetes quantity of memory in GiB; 0 for what is not one. Numbers are bytes. */}}
{{- define "sizeup.gibibytes" -}}
{{- $text := kindIs "string" . | ternary . (. | int64 | toString) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "Ti" 1099511627776.0 "Gi" 1073741824.0 "Mi" 1048576.0 "Ki" 1024.0 "T" 1e12 "G" 1e9 "M" 1e6 "k" 1e3 "" 1.0 "m" 1e-3 -}}
{{- divf (mulf (regexFind "^[0-9.]+" $text | float64) (get $factors $unit | default 0.0)) 1073741824.0 -}}
{{- end }}
