{{/* sizeup.tracingEnv: list root, name of the service. Empty if nothing is traced. */}}
{{- define "sizeup.tracingEnv" -}}
{{- $root := index . 0 -}}
{{- $tracing := $root.Values.tracing -}}
{{- if $tracing.endpoint -}}
{{- $resource := printf "service.version=%s,k8s.namespace.name=%s,k8s.pod.name=$(K8S_POD_NAME)" $root.Chart.AppVersion $root.Release.Namespace -}}
{{- $env := list
  (dict "name" "K8S_POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "OTEL_EXPORTER_OTLP_ENDPOINT" "value" $tracing.endpoint)
  (dict "name" "OTEL_SERVICE_NAME" "value" (index . 1))
  (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" $resource) -}}
{{- include "sizeup.mergedList" (list "name" $env $tracing.env) | fromJsonArray | toYaml -}}
{{- end -}}
{{- end }}
