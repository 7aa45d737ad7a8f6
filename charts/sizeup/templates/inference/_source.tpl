{{/* Weights of models.KEY.source: a folder that is not in the cache. No Job downloads it, and `wait` says what is missing. */}}

{{/* sizeup.sourceFolder: source. The folder in the pod. */}}
{{- define "sizeup.sourceFolder" -}}
{{- if or .claim .image }}/weights{{ with .path }}/{{ . }}{{ end }}{{ else }}{{ .path }}{{ end -}}
{{- end }}

{{/* sizeup.sourceVolume: list root, source. The volume, as a list; empty for one of the operator's own. */}}
{{- define "sizeup.sourceVolume" -}}
{{- $source := index . 1 -}}
{{- if $source.claim }}
- name: weights
  persistentVolumeClaim: {claimName: {{ $source.claim }}, readOnly: true}
{{- else if $source.image }}
- name: weights
  image: {{ dict "reference" $source.image "pullPolicy" ($source.pullPolicy | default (index . 0).Values.image.pullPolicy) | toJson }}
{{- end }}
{{- end }}

{{/* sizeup.weightsMount: list root, model. The mount of the weights, of a source or in the cache, as a list. */}}
{{- define "sizeup.weightsMount" -}}
{{- $model := index . 1 -}}
{{- $source := $model.source | default dict -}}
{{- if or $source.claim $source.image }}
- {name: weights, mountPath: /weights, readOnly: true}
{{- else if $model.isCached }}
{{- include "sizeup.cacheMount" (list (index . 0) true) }}
{{- end }}
{{- end }}

{{- define "sizeup.checkSources" -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- with $model.source -}}
{{- $path := .path | default "" -}}
{{- if and .claim .image -}}
{{- fail (printf "models.%s.source: claim and image are two places, remove one" $key) -}}
{{- end -}}
{{- if and (or .claim .image) (hasPrefix "/" $path) -}}
{{- fail (printf "models.%s.source.path=%s: a folder in the claim or image, without a leading /" $key $path) -}}
{{- end -}}
{{- if not (or .claim .image (hasPrefix "/" $path)) -}}
{{- fail (printf "models.%s.source: set claim or image, or an absolute path that extraVolumeMounts of the model mount" $key) -}}
{{- end -}}
{{- if and .image (semverCompare "<1.33-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "models.%s.source.image: Kubernetes %s has no image volumes that Pod Security restricted permits: they require 1.33 with the feature gate ImageVolume, or 1.35; use source.claim. `helm template` assumes an old version without --kube-version" $key $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
