{{/* sizeup.unsupported: list root, model. The error for a model that files/unsupported.yaml names, or nothing. */}}
{{- define "sizeup.unsupported" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $id := $model.id -}}
{{- $list := $root.Files.Get "files/unsupported.yaml" | fromYaml -}}
{{- $plain := regexReplaceAll $list.quantized.pattern $id "" -}}
{{- $ladder := $root.Files.Get "files/ladder.yaml" | fromYaml -}}
{{- $error := "" -}}
{{- range $list.families -}}
{{- if regexMatch .pattern $id -}}
{{- $text := trimSuffix "-FP8" $plain | replace (first .replace) (last .replace) -}}
{{- $instead := hasKey $ladder $text | ternary $text .instead -}}
{{- $error = include "sizeup.unsupportedError" (list $model (printf "%s is not supported" .kind) (printf "a text model, such as %s" $instead)) -}}
{{- break -}}
{{- end -}}
{{- end -}}
{{- if and (not $error) (ne $plain $id) -}}
{{- $name := splitList "/" $plain | last -}}
{{- $instead := or (hasPrefix "Qwen" $name) (hasPrefix "Qwen/" $plain) | ternary (printf "Qwen/%s" $name) "the unquantized model that it was made from" -}}
{{- $bits := regexMatch $list.quantized.eightBits (trimPrefix $plain $id) | ternary 8 4 -}}
{{- $error = include "sizeup.unsupportedError" (list $model "weights of this format are not supported" (printf "%s with quantization: int%d" $instead $bits)) -}}
{{- end -}}
{{- $error -}}
{{- end }}

{{/* sizeup.unsupportedError: list model, reason, what to serve */}}
{{- define "sizeup.unsupportedError" -}}
{{- $model := index . 0 -}}
models.{{ $model.key }}.id is {{ $model.id }}: {{ index . 1 }}, serve {{ index . 2 }}, or set fit.onFailure=warn if its config.json differs
{{- end }}
