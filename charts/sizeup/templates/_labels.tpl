{{/* Labels. Selectors must not change between chart versions: they are immutable. */}}

{{/* sizeup.selector: list root, component, optional model key. Also used as pod labels: they carry no chart
     version, so that upgrading only the chart restarts no pods. */}}
{{- define "sizeup.selector" -}}
app.kubernetes.io/name: sizeup
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
sizeup.dev/model: {{ index . 2 }}
{{- end }}
{{- end }}

{{/* sizeup.labels: same arguments as sizeup.selector. Labels of the object itself. */}}
{{- define "sizeup.labels" -}}
{{ include "sizeup.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}
