{{/* Object names. Names that are too long are rejected rather than truncated: truncated names can collide. */}}

{{- define "sizeup.fullname" -}}
{{- /* An alias may be written as a key of values is: chatSizes, chat_sizes. */ -}}
{{- $chart := .Chart.Name | lower | replace "_" "-" -}}
{{- $name := .Values.fullnameOverride | default (contains $chart .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $chart)) -}}
{{- if not (regexMatch `^[a-z]([-a-z0-9]*[a-z0-9])?$` $name) -}}
{{- fail (printf "%s cannot begin the name of a Service, which is of lowercase letters, digits and - and starts with a letter: use another release name, or fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* sizeup.name: list root, suffix... */}}
{{- define "sizeup.name" -}}
{{- $name := printf "%s-%s" (include "sizeup.fullname" (first .)) (rest . | join "-") -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "name %s has %d characters, the limit is 63: use a shorter release name, fullnameOverride or model key" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* sizeup.image: list root, image, suffix of the default tag. The image reference. */}}
{{- define "sizeup.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $tag := $image.tag | default (printf "%s%s" $root.Chart.AppVersion (index . 2)) -}}
{{- with $root.Values.image.registry | default (get ($root.Values.global | default dict) "imageRegistry") }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end }}

{{- define "sizeup.mirrorUrl" -}}
http://{{ include "sizeup.name" (list . "mirror") }}:8090
{{- end }}
