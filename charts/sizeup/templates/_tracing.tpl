{{/* sizeup.tracingEnv: list root, name of the service. Empty if nothing is traced. */}}
{{- define "sizeup.tracingEnv" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.tracing.endpoint -}}
- {name: K8S_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: OTEL_SERVICE_NAME, value: {{ index $ 1 }}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: "service.version={{ $root.Chart.AppVersion }},k8s.namespace.name={{ $root.Release.Namespace }},k8s.pod.name=$(K8S_POD_NAME)"}
{{- end -}}
{{- end }}
