{{/* What is known of the weights of a model, or bounds them. */}}

{{/* sizeup.known: list root, id. The entry in files/ladder.yaml, as JSON; {} for an unknown model. A checkpoint that is
     published in FP8 has the shape of the one that it was made from, whose dtype it is loaded in, and smaller files. */}}
{{- define "sizeup.known" -}}
{{- $ladder := (index . 0).Files.Get "files/ladder.yaml" | fromYaml -}}
{{- $id := index . 1 -}}
{{- $plain := trimSuffix "-FP8" $id -}}
{{- $entry := get $ladder $plain | default dict -}}
{{- /* FP8 takes one byte, which embedding, head and the scales of blocks do not: 1.26 of Qwen3-0.6B, less of larger ones. */ -}}
{{- if and $entry (ne $plain $id) }}{{ $entry = merge (dict "fileBytesPerWeight" 1.3) (omit $entry "names") }}{{ end -}}
{{- toJson $entry -}}
{{- end }}

{{/* sizeup.files: list model, bytes of a weight in the files. weightBytes: their size. loadParameters: what is read to start,
     a draft model included. A model of unknown size is not larger than the memory it is loaded into; quantized on load, its
     files are. */}}
{{- define "sizeup.files" -}}
{{- $model := index . 0 -}}
{{- $draft := $model.draft | default dict -}}
{{- $known := gt (float64 $model.parameters) 0.0 -}}
{{- $drafted := gt (float64 ($draft.parameters | default 0)) 0.0 -}}
{{- if and $model.needsWeights (not $known) (not (gt (float64 $model.memoryGiB) 0.0)) -}}
{{- fail (printf "models.%s: %s is not in files/ladder.yaml, and profile %s has no memory limit that bounds its size: set models.%s.parameters (metadata.total_size in model.safetensors.index.json, divided by the bytes of its dtype)" $model.key $model.id $model.profileName $model.key) -}}
{{- end -}}
{{- $bound := mulf $model.memoryGiB 1073741824 (maxf 1.0 (divf 2 $model.bytesPerWeight)) -}}
{{- $bytes := $known | ternary (mulf $model.parameters (index . 1)) ($model.needsWeights | ternary $bound 0.0) -}}
{{- $parameters := addf $model.parameters ($draft.parameters | default 0) -}}
{{- if and $model.needsWeights (or (not $known) (and $draft (not $drafted))) }}{{ $parameters = divf $bound 2 }}{{ end -}}
{{- dict "weightBytes" $bytes "loadParameters" $parameters | toJson -}}
{{- end }}
