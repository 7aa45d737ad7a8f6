{{/* Empty if an autoscaler, of the chart or with `replicas: null` of the operator, owns the replica count. An upgrade to it keeps
     the current count: a Deployment whose `replicas` is removed is scaled to one. */}}
{{- define "sizeup.gatewayReplicas" -}}
{{- if or .Values.gateway.autoscaling.enabled (kindIs "invalid" .Values.gateway.replicas) -}}
{{- include "sizeup.lookup" (list . "Deployment" (include "sizeup.name" (list . "gateway"))) | fromJson | dig "spec" "replicas" "" -}}
{{- else -}}
{{- .Values.gateway.replicas -}}
{{- end -}}
{{- end }}

{{/* As in the gateway, which would not start (middleware/access.py). */}}
{{- define "sizeup.checkOrigins" -}}
{{- $origins := .Values.gateway.origins | default list -}}
{{- range kindIs "string" $origins | ternary (toString $origins | splitList ",") $origins -}}
{{- $origin := trim . -}}
{{- if and $origin (not (contains "://" $origin)) (not (contains "*" $origin)) -}}
{{- fail (printf "gateway.origins: %s must have a scheme: https://%s" $origin $origin) -}}
{{- end -}}
{{- with regexFind `^[^/]*://[^/]+/` $origin -}}
{{- fail (printf "gateway.origins: %s has a path, which no origin has: %s" $origin (trimSuffix "/" .)) -}}
{{- end -}}
{{- end -}}
{{- end }}
