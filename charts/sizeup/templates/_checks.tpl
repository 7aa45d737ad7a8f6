{{/* What the schema cannot say: values that contradict each other are refused here. */}}
{{- define "sizeup.checks" -}}
{{- include "sizeup.checkNames" . -}}
{{- include "sizeup.checkFit" . -}}
{{- include "sizeup.checkCache" . -}}
{{- include "sizeup.checkVolumes" . -}}
{{- include "sizeup.checkAlerts" . -}}
{{- include "sizeup.checkAccess" . -}}
{{- include "sizeup.checkService" . -}}
{{- include "sizeup.checkGatewayMemory" . -}}
{{- include "sizeup.checkLoadtest" . -}}
{{- end }}

{{/* As the gateway does: a name belongs to one model, whatever its case. */}}
{{- define "sizeup.checkNames" -}}
{{- $owners := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if has $key (list "gateway" "gateway-metrics" "mirror") -}}
{{- fail (printf "models.%s: %s is the name of the chart's own, choose another key" $key $model.name) -}}
{{- end -}}
{{- range $name := concat (list $key $model.id) $model.names -}}
{{- $owner := get $owners (lower $name) | default $key -}}
{{- if ne $owner $key -}}
{{- fail (printf "models.%s and models.%s both answer to %q" $owner $key $name) -}}
{{- end -}}
{{- $_ := set $owners (lower $name) $key -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkFit" -}}
{{- $misfits := include "sizeup.misfits" . | fromJsonArray -}}
{{- if and $misfits (eq .Values.fit.onFailure "fail") -}}
{{- fail (printf "\n%s" (join "\n" $misfits)) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkCache" -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.existingClaim (ne $cache.mode "shared") -}}
{{- fail (printf "modelCache.existingClaim is one volume for all sizes: it needs mode shared, not %s" $cache.mode) -}}
{{- end -}}
{{- if and (eq $cache.mode "ephemeral") (not $cache.download.enabled) -}}
{{- fail "modelCache.mode ephemeral starts empty: it needs modelCache.download.enabled" -}}
{{- end -}}
{{- with printf "%s%s" (include "sizeup.apart" .) (include "sizeup.ownNeighbours" .) -}}
{{- fail (printf "%smodelCache.accessModes is a disk of one node" .) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkVolumes" -}}
{{- range .Values.inference.extraVolumes -}}
{{- if has .name (list "tmp" "models" "ca") -}}
{{- fail (printf "inference.extraVolumes: %s is a volume of the chart's own, choose another name" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkAlerts" -}}
{{- $rule := .Values.monitoring.prometheusRule -}}
{{- $held := .Values.gateway.activation.seconds -}}
{{- if and $rule.enabled (ge (float64 $rule.coldStartSeconds) (float64 $held)) -}}
{{- fail (printf "monitoring.prometheusRule.coldStartSeconds is %v and nobody waits longer than gateway.activation.seconds=%v: take less, or 0 for half of it" $rule.coldStartSeconds $held) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkService" -}}
{{- $service := .Values.gateway.service -}}
{{- if and $service.nodePort (eq $service.type "ClusterIP") -}}
{{- fail "gateway.service.nodePort needs type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") -}}
{{- fail "gateway.service.externalTrafficPolicy needs type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and (or $service.loadBalancerClass $service.loadBalancerSourceRanges) (ne $service.type "LoadBalancer") -}}
{{- fail "gateway.service.loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer" -}}
{{- end -}}
{{- end }}

{{/* 128 MiB are Python, the libraries and requests in flight. */}}
{{- define "sizeup.checkGatewayMemory" -}}
{{- $limits := .Values.gateway.limits -}}
{{- $memory := dig "limits" "memory" "" .Values.gateway.resources -}}
{{- $have := mulf 1024 (include "sizeup.gibibytes" $memory | float64) -}}
{{- $need := addf 128 $limits.bodiesMiB $limits.repliesMiB -}}
{{- if and (gt $have 0.0) (gt $need $have) -}}
{{- fail (printf "gateway.resources.limits.memory is %.0fMi, and the gateway needs %.0fMi: 128 for itself, gateway.limits.bodiesMiB=%v and repliesMiB=%v" $have $need $limits.bodiesMiB $limits.repliesMiB) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkAccess" -}}
{{- $outside := or .Values.gateway.ingress.enabled .Values.gateway.httpRoute.enabled (ne .Values.gateway.service.type "ClusterIP") -}}
{{- if and $outside (not .Values.auth.existingSecret.name) (not .Values.auth.allowAnonymous) -}}
{{- fail "the gateway can be reached from outside the cluster and asks for no API key: set auth.existingSecret.name, or auth.allowAnonymous=true" -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkLoadtest" -}}
{{- $loadtest := .Values.loadtest -}}
{{- if $loadtest.enabled -}}
{{- if and (gt (int $loadtest.shards) 1) (or (not $loadtest.startAt) (not (dig "load" "stage_seconds" 0 $loadtest.config))) -}}
{{- fail "loadtest.shards above 1 needs loadtest.startAt and loadtest.config with load.stage_seconds: the pods begin together and keep in step by them" -}}
{{- end -}}
{{- if not (or $loadtest.config (include "sizeup.loadtestModels" .)) -}}
{{- fail "loadtest: there is no size to measure: enable one, or name it in loadtest.models" -}}
{{- end -}}
{{- end -}}
{{- end }}
