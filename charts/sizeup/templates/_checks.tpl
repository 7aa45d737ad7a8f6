{{/* What the schema cannot say: values that contradict each other are refused here. */}}
{{- define "sizeup.checks" -}}
{{- include "sizeup.checkNames" . -}}
{{- include "sizeup.checkFit" . -}}
{{- include "sizeup.checkAccess" . -}}
{{- include "sizeup.checkLoadtest" . -}}
{{- if and .Values.modelCache.existingClaim (ne .Values.modelCache.mode "shared") -}}
{{- fail (printf "modelCache.existingClaim is one volume for all sizes: it needs mode shared, not %s" .Values.modelCache.mode) -}}
{{- end -}}
{{- if and (eq .Values.modelCache.mode "ephemeral") (not .Values.modelCache.download.enabled) -}}
{{- fail "modelCache.mode ephemeral starts empty: it needs modelCache.download.enabled" -}}
{{- end -}}
{{- end }}

{{/* As the gateway does: a name belongs to one model, whatever its case. */}}
{{- define "sizeup.checkNames" -}}
{{- $owners := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
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
{{- $misfits := list -}}
{{- range $model := include "sizeup.models" . | fromJson -}}
{{- if eq $model.fit.verdict "no" }}{{ $misfits = append $misfits (include "sizeup.misfit" (list $ $model)) }}{{ end -}}
{{- end -}}
{{- if and $misfits (eq .Values.fit.onFailure "fail") -}}
{{- fail (printf "\n%s" (join "\n" $misfits)) -}}
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
