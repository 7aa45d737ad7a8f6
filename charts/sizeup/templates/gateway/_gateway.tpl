{{/* Empty if an autoscaler, of the chart or with `replicas: null` of the operator, owns the replica count. An upgrade to it keeps
     the current count: a Deployment whose `replicas` is removed is scaled to one. */}}
{{- define "sizeup.gatewayReplicas" -}}
{{- if or .Values.gateway.autoscaling.enabled (kindIs "invalid" .Values.gateway.replicas) -}}
{{- include "sizeup.lookup" (list . "Deployment" (include "sizeup.name" (list . "gateway"))) | fromJson | dig "spec" "replicas" "" -}}
{{- else -}}
{{- .Values.gateway.replicas -}}
{{- end -}}
{{- end }}
