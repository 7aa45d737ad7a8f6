{{/* Model, weights and listen address, for the main container and the init container `wait`. */}}
{{- define "sizeup.modelEnv" -}}
{{- if .source }}
- {name: SIZEUP_INFERENCE_MODEL, value: {{ include "sizeup.sourceFolder" .source | quote }}}
- {name: SIZEUP_INFERENCE_MODEL_ID, value: {{ .id | quote }}}
{{- else }}
- {name: SIZEUP_INFERENCE_MODEL, value: {{ .id | quote }}}
{{- end }}
- {name: SIZEUP_INFERENCE_REVISION, value: {{ .revision | quote }}}
{{- with .draft }}
- {name: SIZEUP_INFERENCE_DRAFT_MODEL, value: {{ .id | quote }}}
- {name: SIZEUP_INFERENCE_DRAFT_REVISION, value: {{ .revision | quote }}}
{{- end }}
- {name: SIZEUP_INFERENCE_HOST, value: {{ .listen | quote }}}
- {name: SIZEUP_INFERENCE_PORT, value: "8080"}
- {name: HF_HUB_CACHE, value: /models}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: HOME, value: /tmp}
{{- end }}

{{- define "sizeup.engineEnv" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
- {name: SIZEUP_INFERENCE_METRICS_PORT, value: "9090"}
- {name: SIZEUP_INFERENCE_ENGINE, value: {{ $model.engine }}}
- {name: SIZEUP_INFERENCE_DEVICE, value: {{ $model.gpu | ternary "cuda" "cpu" }}}
- {name: SIZEUP_INFERENCE_DTYPE, value: {{ $model.dtype }}}
{{- if ne $model.quantization "none" }}
- {name: SIZEUP_INFERENCE_QUANTIZATION, value: {{ $model.quantization }}}
{{- end }}
{{- if $model.gpu }}
- {name: SIZEUP_INFERENCE_GPU_MEMORY_BYTES, value: {{ mulf $model.profile.gpuMemoryGiB 1073741824 | int64 | quote }}}
{{- end }}
{{- if gt (int $model.tensorParallel) 1 }}
- {name: SIZEUP_INFERENCE_TENSOR_PARALLEL, value: {{ int $model.tensorParallel | quote }}}
{{- end }}
{{- with $model.maxModelLen }}
- {name: SIZEUP_INFERENCE_MAX_MODEL_LEN, value: {{ int64 . | quote }}}
{{- end }}
{{- with $model.fit.cpuCacheBytes }}
- {name: SIZEUP_INFERENCE_KV_CACHE_BYTES, value: {{ int64 . | quote }}}
{{- end }}
- {name: SIZEUP_INFERENCE_ENABLE_PREFIX_CACHING, value: {{ $root.Values.inference.prefixCaching | quote }}}
- {name: SIZEUP_INFERENCE_MAX_NUM_SEQS, value: {{ int64 $model.concurrency | quote }}}
- {name: SIZEUP_INFERENCE_MAX_WAITING, value: {{ int64 $model.queue | quote }}}
- {name: SIZEUP_INFERENCE_DRAIN_SECONDS, value: {{ $root.Values.inference.drainSeconds | quote }}}
- {name: SIZEUP_INFERENCE_LOG_LEVEL, value: {{ $root.Values.inference.logLevel }}}
{{- if $model.scaleToZero }}
- {name: SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS, value: {{ $model.keepAliveSeconds | quote }}}
{{- end }}
{{- end }}

{{/* sizeup.inferenceFields: list root, model. The pod fields of a size; with mode ephemeral also the download as an init
     container, and its volumes. As JSON. */}}
{{- define "sizeup.inferenceFields" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $_ := set $model "affinity" (include "sizeup.sharedVolumeAffinity" (list $root $model $model.affinity) | fromJson) -}}
{{- if and $model.isCached (eq $root.Values.modelCache.mode "ephemeral") -}}
{{- $download := include "sizeup.podFields" (list $root.Values.modelCache.download) | fromJson -}}
{{- $pull := include "sizeup.pullContainer" . | fromYamlArray | first -}}
{{- $pull = include "sizeup.extendedContainer" (list $pull $download) | fromJson -}}
{{- $_ := set $model "initContainers" (append (concat $model.initContainers $download.initContainers) $pull) -}}
{{- $_ := set $model "extraVolumes" (include "sizeup.mergedList" (list "name" $download.extraVolumes $model.extraVolumes) | fromJsonArray) -}}
{{- end -}}
{{- toJson $model -}}
{{- end }}
