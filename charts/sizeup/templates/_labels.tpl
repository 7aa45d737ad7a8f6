{{/* Labels. Selectors must not change between chart versions: they are immutable. */}}

{{/* sizeup.selector: list root, component, optional model key. Also used as pod labels: they carry no chart
     version, so that upgrading only the chart restarts no pods. The name is that of the chart, or its alias in a parent chart. */}}
{{- define "sizeup.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
sizeup.dev/model: {{ index . 2 }}
{{- end }}
{{- end }}

{{/* sizeup.modelSelector: list root, model key. The pods of a model, whatever the component. */}}
{{- define "sizeup.modelSelector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
sizeup.dev/model: {{ index . 1 }}
{{- end }}

{{/* sizeup.labels: same arguments as sizeup.selector, and after them optionally further labels. Labels of the object itself;
     the chart's own hold, then those of the object, then those of all objects. */}}
{{- define "sizeup.labels" -}}
{{- $root := index . 0 -}}
{{- $arguments := kindIs "string" (last .) | ternary . (initial .) -}}
{{- $more := kindIs "map" (last .) | ternary (last .) dict -}}
{{- $labels := include "sizeup.selector" $arguments | fromYaml -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" -}}
{{- $own := dict "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" $chart -}}
{{- merge $labels $own $more ($root.Values.commonLabels | default dict) | toYaml -}}
{{- end }}
