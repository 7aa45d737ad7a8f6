{{/* Constraints between values, which the schema cannot express. */}}
{{- define "sizeup.checks" -}}
{{- include "sizeup.checkNames" . -}}
{{- include "sizeup.checkEnv" . -}}
{{- include "sizeup.checkAccounts" . -}}
{{- include "sizeup.checkDependency" . -}}
{{- include "sizeup.checkFit" . -}}
{{- include "sizeup.checkCache" . -}}
{{- include "sizeup.checkPrefetch" . -}}
{{- include "sizeup.checkSources" . -}}
{{- include "sizeup.checkAlerts" . -}}
{{- include "sizeup.checkAccess" . -}}
{{- include "sizeup.checkService" . -}}
{{- include "sizeup.checkOrigins" . -}}
{{- include "sizeup.checkGatewayMemory" . -}}
{{- include "sizeup.checkResources" . -}}
{{- include "sizeup.checkGatewayAutoscaling" . -}}
{{- include "sizeup.checkLoadtest" . -}}
{{- end }}

{{/* As in the gateway: a name belongs to one model, case-insensitively. */}}
{{- define "sizeup.checkNames" -}}
{{- $owners := dict -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- if has $key (list "gateway" "gateway-metrics" "mirror") -}}
{{- fail (printf "models.%s: the object name %s is used by the chart itself, choose another key" $key $model.name) -}}
{{- end -}}
{{- range $name := concat (list $key $model.id) $model.names -}}
{{- /* As shortest_name in services/wire: without Ollama's default host and namespace, and the hosts of the hub. */ -}}
{{- $short := regexReplaceAll `^(registry[.]ollama[.]ai|hf[.]co|huggingface[.]co)/([^/]+/)` (lower $name) "${2}" -}}
{{- $short = regexReplaceAll `^library/([^/]*)$` $short "${1}" -}}
{{- $owner := get $owners $short | default $key -}}
{{- if ne $owner $key -}}
{{- $cure := eq $name $model.id | ternary ": a Hugging Face id is served once per release, variants of it by further releases" "" -}}
{{- fail (printf "models.%s and models.%s have the same name %q%s" $owner $key $name $cure) -}}
{{- end -}}
{{- $_ := set $owners $short $key -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Variables on which other objects depend. They are read case-insensitively. */}}
{{- define "sizeup.fixedVariables" -}}
SIZEUP_GATEWAY_HOST: use listen
SIZEUP_GATEWAY_PORT: use gateway.service.port for clients, the pods listen on 11434
SIZEUP_GATEWAY_METRICS_PORT: the Services, monitors and NetworkPolicies use 9090
SIZEUP_GATEWAY_CATALOG: use models
SIZEUP_GATEWAY_DISCOVERY: the gateway finds the pods of the models through their Services
SIZEUP_GATEWAY_ENDPOINT_SELECTOR: it selects the Services of this release
SIZEUP_GATEWAY_ACTIVATION_SECONDS: use gateway.activation.seconds, from which the timeout of the HTTPRoute follows
SIZEUP_GATEWAY_CREATED_MODELS_CONFIG_MAP: use gateway.createdModels, the gateway's Role names the ConfigMap
SIZEUP_GATEWAY_DRAIN_SECONDS: use gateway.drainSeconds, from which the termination grace period follows
SIZEUP_GATEWAY_MAX_BODIES_BYTES: use gateway.limits.bodiesMiB, which must fit the memory limit
SIZEUP_GATEWAY_MAX_RESPONSES_BYTES: use gateway.limits.responsesMiB, which must fit the memory limit
SIZEUP_INFERENCE_HOST: use listen
SIZEUP_INFERENCE_PORT: the Services, probes and NetworkPolicies use 8080
SIZEUP_INFERENCE_METRICS_PORT: the Services, monitors and NetworkPolicies use 9090
SIZEUP_INFERENCE_ENGINE: use engine of the model, from which the image follows
SIZEUP_INFERENCE_TENSOR_PARALLEL: use :count of the model's profile, from which the number of GPUs follows
SIZEUP_INFERENCE_DRAIN_SECONDS: use inference.drainSeconds, from which the termination grace period follows
SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS: use scaleToZero.keepAlive of the model, which the gateway reads as well
{{- end }}

{{- define "sizeup.checkEnv" -}}
{{- $fixed := include "sizeup.fixedVariables" . | fromYaml -}}
{{- /* With tracing.endpoint a variable may name another host of its port, such as the node: http://$(HOST_IP):4318. */ -}}
{{- if and .Values.networkPolicy.enabled (not .Values.tracing.endpoint) -}}
{{- range list "OTEL_EXPORTER_OTLP_ENDPOINT" "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" -}}
{{- $_ := set $fixed . "set tracing.endpoint too, to whose port the NetworkPolicies permit connections" -}}
{{- end -}}
{{- end -}}
{{- range $path, $values := include "sizeup.podValues" . | fromJson -}}
{{- range get $values "env" | default list -}}
{{- $name := .name -}}
{{- with get $fixed (upper $name) -}}
{{- fail (printf "%s.env: other objects of the chart depend on %s: %s" $path $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The values that have pod fields, by path; as JSON. */}}
{{- define "sizeup.podValues" -}}
{{- $places := pick .Values "gateway" "inference" "mirror" "tests" "loadtest" -}}
{{- $_ := set $places "modelCache.download" .Values.modelCache.download -}}
{{- range $name, $profile := .Values.profiles }}{{ $_ := set $places (printf "profiles.%s" $name) $profile }}{{ end -}}
{{- range $key, $model := .Values.models }}{{ $_ := set $places (printf "models.%s" $key) $model }}{{ end -}}
{{- toJson $places -}}
{{- end }}

{{- define "sizeup.checkAccounts" -}}
{{- $owners := dict -}}
{{- $components := dict "modelCache.download" "download" "tests" "test" -}}
{{- range $path, $values := include "sizeup.podValues" . | fromJson -}}
{{- $account := get $values "serviceAccount" | default dict -}}
{{- $component := get $components $path | default $path -}}
{{- if and $account.create (dig "enabled" true $values | or (eq $component "download")) -}}
{{- $name := include "sizeup.accountName" (list $ $component $account) -}}
{{- with get $owners $name -}}
{{- fail (printf "%s.serviceAccount and %s.serviceAccount create the same account %q: set create=false in one of them" . $path $name) -}}
{{- end -}}
{{- $_ := set $owners $name $path -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkDependency" -}}
{{- if not .Values.enabled -}}
{{- fail (printf "enabled=false takes effect only as the condition of a dependency: add condition: %s.enabled to the parent's Chart.yaml" .Chart.Name) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkFit" -}}
{{- $errors := include "sizeup.fitErrors" . | fromJsonArray -}}
{{- if and $errors (eq .Values.fit.onFailure "fail") -}}
{{- fail (printf "\n%s" (join "\n" $errors)) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkCache" -}}
{{- $cache := .Values.modelCache -}}
{{- if and $cache.existingClaim (ne $cache.mode "shared") -}}
{{- fail (printf "modelCache.existingClaim is a single volume for all models: it requires modelCache.mode=shared, got %s" $cache.mode) -}}
{{- end -}}
{{- if and $cache.nfs.server (or $cache.existingClaim $cache.volumeName (ne $cache.mode "shared")) -}}
{{- fail "modelCache.nfs is a single volume for all models, in place of a claim: it requires modelCache.mode=shared, and neither existingClaim nor volumeName" -}}
{{- end -}}
{{- if and $cache.volumeName (or $cache.existingClaim (ne $cache.mode "shared")) -}}
{{- fail "modelCache.volumeName binds the chart's own claim, of which there is one with modelCache.mode=shared and without existingClaim" -}}
{{- end -}}
{{- $writable := or (has "ReadWriteMany" $cache.accessModes) (has "ReadWriteOnce" $cache.accessModes) $cache.nfs.server (eq $cache.mode "ephemeral") -}}
{{- if and $cache.download.enabled (not $writable) -}}
{{- fail "modelCache.accessModes is ReadOnlyMany, but the downloads write to the volume: set modelCache.download.enabled=false if it holds the models already" -}}
{{- end -}}
{{- if and (eq $cache.mode "ephemeral") (not $cache.download.enabled) -}}
{{- fail "modelCache.mode=ephemeral starts with an empty volume: it requires modelCache.download.enabled=true" -}}
{{- end -}}
{{- with printf "%s%s" (include "sizeup.conflictingPlacement" .) (include "sizeup.conflictingPodAffinity" .) -}}
{{- fail (printf "%ssee modelCache.accessModes" .) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkAlerts" -}}
{{- $rule := .Values.monitoring.prometheusRule -}}
{{- $longest := .Values.gateway.activation.seconds -}}
{{- if and $rule.enabled (ge (float64 $rule.coldStartSeconds) (float64 $longest)) -}}
{{- fail (printf "monitoring.prometheusRule.coldStartSeconds=%v must be less than gateway.activation.seconds=%v, the longest time a request is queued; 0 selects half of it" $rule.coldStartSeconds $longest) -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkService" -}}
{{- range $path, $service := dict "gateway" .Values.gateway.service "inference" .Values.inference.service "mirror" .Values.mirror.service -}}
{{- if and (eq $service.ipFamilyPolicy "SingleStack") (gt (len $service.ipFamilies) 1) -}}
{{- fail (printf "%s.service.ipFamilyPolicy=SingleStack has one of ipFamilies %s: set PreferDualStack or RequireDualStack" $path (join ", " $service.ipFamilies)) -}}
{{- end -}}
{{- if and (ne $.Values.listen "::") (or (has "IPv6" $service.ipFamilies) (eq $service.ipFamilyPolicy "RequireDualStack")) -}}
{{- fail (printf "%s.service has an IPv6 address, but the pods listen on %s: set listen=\"::\", which accepts both families" $path $.Values.listen) -}}
{{- end -}}
{{- end -}}
{{- $service := .Values.gateway.service -}}
{{- if and $service.nodePort (eq $service.type "ClusterIP") -}}
{{- fail "gateway.service.nodePort requires type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") -}}
{{- fail "gateway.service.externalTrafficPolicy requires type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and (or $service.loadBalancerClass $service.loadBalancerSourceRanges) (ne $service.type "LoadBalancer") -}}
{{- fail "gateway.service.loadBalancerClass and loadBalancerSourceRanges require type LoadBalancer" -}}
{{- end -}}
{{- end }}

{{/* 128 MiB: Python, the libraries and the state of requests in flight. */}}
{{- define "sizeup.checkGatewayMemory" -}}
{{- $limits := .Values.gateway.limits -}}
{{- $memory := dig "limits" "memory" "" (.Values.gateway.resources | default dict) -}}
{{- $available := mulf 1024 (include "sizeup.gibibytes" $memory | float64) -}}
{{- $required := addf 128 $limits.bodiesMiB $limits.responsesMiB -}}
{{- if and (gt $available 0.0) (gt $required $available) -}}
{{- fail (printf "gateway.resources.limits.memory is %.0fMi, but the gateway requires %.0fMi: 128 for the process, gateway.limits.bodiesMiB=%v and gateway.limits.responsesMiB=%v" $available $required $limits.bodiesMiB $limits.responsesMiB) -}}
{{- end -}}
{{- end }}

{{/* As in the API server, which accepts the Deployment or Job and none of its pods. */}}
{{- define "sizeup.checkResources" -}}
{{- $owners := dict "inference.waitResources" .Values.inference.waitResources -}}
{{- range $path := list "gateway" "modelCache.download" "mirror" "tests" -}}
{{- $_ := set $owners (printf "%s.resources" $path) (get (include "sizeup.podValues" $ | fromJson) $path).resources -}}
{{- end -}}
{{- range $key, $model := include "sizeup.models" . | fromJson -}}
{{- $_ := set $owners (printf "profiles.%s.resources" $model.profileName) (get $.Values.profiles $model.profileName).resources -}}
{{- $claims := list -}}
{{- range $model.resourceClaims }}{{ $claims = append $claims .name }}{{ end -}}
{{- range $model.resources.claims -}}
{{- if not (has .name $claims) -}}
{{- fail (printf "profiles.%s.resources.claims has %q, which is not in resourceClaims of the profile, of models.%s or of inference" $model.profileName .name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $path, $values := $owners -}}
{{- $resources := $values | default dict -}}
{{- range $name, $request := $resources.requests | default dict -}}
{{- $limit := get ($resources.limits | default dict) $name -}}
{{- if and $limit (gt (include "sizeup.gibibytes" $request | float64) (include "sizeup.gibibytes" $limit | float64)) -}}
{{- fail (printf "%s.requests.%s is %v, more than its limit %v" $path $name $request $limit) -}}
{{- end -}}
{{- if and (contains "/" $name) (ne (toString $request) (toString $limit)) -}}
{{- fail (printf "%s: an extended resource has a limit that equals its request, but those of %s are %v and %v" $path $name $limit $request) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkGatewayAutoscaling" -}}
{{- $resources := .Values.gateway.resources | default dict -}}
{{- with .Values.gateway.autoscaling -}}
{{- if .enabled -}}
{{- include "sizeup.checkLimits" (list "gateway.autoscaling" .) -}}
{{- if not (or .metrics (dig "cpu" "" ($resources.requests | default dict)) (dig "cpu" "" ($resources.limits | default dict))) -}}
{{- fail "gateway.autoscaling.targetCPUUtilizationPercentage is of the requested CPU: set gateway.resources.requests.cpu, or gateway.autoscaling.metrics" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkAccess" -}}
{{- $outside := or .Values.gateway.ingress.enabled .Values.gateway.httpRoute.enabled (ne .Values.gateway.service.type "ClusterIP") -}}
{{- if and $outside (not .Values.auth.existingSecret.name) (not .Values.auth.allowAnonymous) -}}
{{- fail "the gateway is exposed outside the cluster without API keys: set auth.existingSecret.name, or auth.allowAnonymous=true" -}}
{{- end -}}
{{- end }}

{{- define "sizeup.checkLoadtest" -}}
{{- $loadtest := .Values.loadtest -}}
{{- if $loadtest.enabled -}}
{{- if not (or $loadtest.config (include "sizeup.loadtestModels" .)) -}}
{{- fail "loadtest: no model to measure: enable one, or set loadtest.models" -}}
{{- end -}}
{{- end -}}
{{- end }}
