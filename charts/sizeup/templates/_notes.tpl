{{/* Parts of NOTES.txt. */}}

{{/* sizeup.presetSummary: text of a file of values/. The first clause of its comment. */}}
{{- define "sizeup.presetSummary" -}}
{{- regexReplaceAll `\n# ?` . " " | regexFind `^# ([^.:,]|[.:,]\S)*` | trimPrefix "# " -}}
{{- end }}

{{/* There are no public images: without a registry nodes look for them at docker.io/library. */}}
{{- define "sizeup.imageWarning" -}}
{{- $images := list (include "sizeup.image" (list . .Values.gateway.image "")) (include "sizeup.image" (list . .Values.modelCache.download.image "")) -}}
{{- range $model := include "sizeup.models" . | fromJson }}{{ $images = append $images $model.image }}{{ end -}}
{{- $unnamed := list -}}
{{- range uniq $images }}{{ if not (contains "/" .) }}{{ $unnamed = append $unnamed . }}{{ end }}{{ end -}}
{{- if and $unnamed (ne .Values.image.pullPolicy "Never") -}}
WARNING: image.registry is empty, and there are no public images ({{ join ", " $unnamed }}): build and push them with
`make push REGISTRY=...` and set image.registry, or load them into every node and set image.pullPolicy=Never.
{{- end -}}
{{- end }}
