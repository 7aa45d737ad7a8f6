{{/* The HorizontalPodAutoscaler owns the replica count. If it is enabled by an upgrade, the current count must be
     kept: a Deployment whose `replicas` is removed is scaled to one. */}}
{{- define "sizeup.gatewayReplicas" -}}
{{- if .Values.gateway.autoscaling.enabled -}}
{{- include "sizeup.lookup" (list . "Deployment" (include "sizeup.name" (list . "gateway"))) | fromJson | dig "spec" "replicas" "" -}}
{{- else -}}
{{- .Values.gateway.replicas -}}
{{- end -}}
{{- end }}
