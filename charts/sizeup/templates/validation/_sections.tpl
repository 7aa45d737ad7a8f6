{{/* Sections of values.yaml that templates read values of. */}}
{{- define "sizeup.sections" -}}
image: []
rbac: []
profiles: []
fit: []
gateway: [image, limits, loadTestReport, createdModels, clientLimits, activation, serviceAccount, service,
  ingress, httpRoute, autoscaling, podDisruptionBudget]
auth: [existingSecret]
inference: [image, service, serviceAccount]
huggingface: [existingSecret, proxy, caConfigMap]
modelCache: [nfs, download]
mirror: [image, service, serviceAccount]
tracing: []
networkPolicy: [prometheus, apiServer, download]
monitoring: [serviceMonitor, podMonitor, prometheusRule, dashboards]
tests: [serviceAccount]
loadtest: [image, serviceAccount]
{{- end }}

{{/* Helm removes the default values of a section that is null, as is a heading below which every line is a comment. */}}
{{- define "sizeup.checkSections" -}}
{{- range $name, $sections := include "sizeup.sections" . | fromYaml -}}
{{- $section := get $.Values $name -}}
{{- if not (kindIs "map" $section) }}{{ include "sizeup.nullSection" $name }}{{ end -}}
{{- range $sections -}}
{{- if not (kindIs "map" (get $section .)) }}{{ include "sizeup.nullSection" (printf "%s.%s" $name .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range list "image" "serviceAccount" -}}
{{- if not (kindIs "map" (get $.Values.modelCache.download .)) }}{{ include "sizeup.nullSection" (printf "modelCache.download.%s" .) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.nullSection" -}}
{{- fail (printf "%s is null, which removes its default values: remove the line, or set values below it" .) -}}
{{- end }}
