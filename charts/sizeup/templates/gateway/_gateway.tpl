{{/* An autoscaler has the say over the number of gateways. One that is turned on at an upgrade must find
     those that run: a Deployment that no longer says a number has one pod. */}}
{{- define "sizeup.gatewayReplicas" -}}
{{- if .Values.gateway.autoscaling.enabled -}}
{{- include "sizeup.live" (list . "Deployment" (include "sizeup.name" (list . "gateway"))) | fromJson | dig "spec" "replicas" "" -}}
{{- else -}}
{{- .Values.gateway.replicas -}}
{{- end -}}
{{- end }}
