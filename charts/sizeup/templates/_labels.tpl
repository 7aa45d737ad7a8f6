{{/* Labels. Selectors never change between versions of the chart: Kubernetes refuses that. */}}

{{/* sizeup.selector: list root, component, optional model key; also the labels of pods, so that
     a new version of the chart alone restarts nothing */}}
{{- define "sizeup.selector" -}}
app.kubernetes.io/name: sizeup
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
sizeup.dev/model: {{ index . 2 }}
{{- end }}
{{- end }}

{{/* sizeup.labels: as sizeup.selector, for objects */}}
{{- define "sizeup.labels" -}}
{{ include "sizeup.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}
