{{/* How many replicas a model has. */}}

{{/* sizeup.limits: list key, values of the model. As JSON: `scaledBy`, the owner of the number of replicas (values; gateway with
     autoscaling; other with `replicas: null`), and its minimum and maximum while the model is not scaled to zero; the
     maximum is 0 if it is unknown. */}}
{{- define "sizeup.limits" -}}
{{- $key := index . 0 -}}
{{- $values := index . 1 -}}
{{- $isNull := and (hasKey $values "replicas") (kindIs "invalid" $values.replicas) -}}
{{- $replicas := $values.replicas | default 1 | int -}}
{{- $limits := dict "scaledBy" "values" "minReplicas" $replicas "maxReplicas" $replicas -}}
{{- with $values.autoscaling -}}
{{- if $values.replicas -}}
{{- fail (printf "models.%s has replicas and autoscaling: set autoscaling.minReplicas and maxReplicas instead of replicas=%d, or replicas=null where a values file below sets it" $key $replicas) -}}
{{- end -}}
{{- $limits = dict "scaledBy" "gateway" "minReplicas" (.minReplicas | default 1 | int) "maxReplicas" (int .maxReplicas) -}}
{{- include "sizeup.checkLimits" (list (printf "models.%s.autoscaling" $key) $limits) -}}
{{- /* In the time in which a replica starts, the load may grow fourfold before requests wait. */ -}}
{{- $target := div (dig "limits" "concurrency" 256 $values | int) 4 | max 1 -}}
{{- $_ := set $limits "targetRequests" (.targetRequests | default $target) -}}
{{- else -}}
{{- if $isNull }}{{ $limits = dict "scaledBy" "other" "minReplicas" 1 "maxReplicas" 0 }}{{ end -}}
{{- end -}}
{{- toJson $limits -}}
{{- end }}

{{/* sizeup.checkLimits: list path of the values, {minReplicas, maxReplicas} */}}
{{- define "sizeup.checkLimits" -}}
{{- $path := index . 0 -}}
{{- with index . 1 -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "%s.minReplicas is %d, but maxReplicas is %d: set maxReplicas to at least %d" $path (int .minReplicas) (int .maxReplicas) (int .minReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* sizeup.replicas: list root, model. The Deployment's `replicas`, or empty to leave the field out.

     What is scaled by others keeps the count that it has in the cluster: a Deployment whose `replicas` is removed is
     scaled to one. `helm template` does not know the count. There it is left out, so that GitOps does not change it; what
     scales to zero begins with zero. */}}
{{- define "sizeup.replicas" -}}
{{- $model := index . 1 -}}
{{- $live := include "sizeup.lookup" (list (index . 0) "Deployment" $model.name) | fromJson | dig "spec" "replicas" "" | toString -}}
{{- if and $model.scaleToZero (has $live (list "" "0")) -}}
0
{{- else if eq $model.scaledBy "values" -}}
{{- $model.minReplicas -}}
{{- else if and $live (eq $model.scaledBy "gateway") -}}
{{- max (int $model.minReplicas) (min (int $live) (int $model.maxReplicas)) -}}
{{- else -}}
{{- $live -}}
{{- end -}}
{{- end }}

{{/* sizeup.maySeveral: model. "yes" if it may have several replicas, else empty. */}}
{{- define "sizeup.maySeveral" -}}
{{- if ne (int .maxReplicas) 1 }}yes{{ end -}}
{{- end }}

{{/* sizeup.replicasNote: model. What NOTES.txt says of its replicas, after the cost of the fewest. */}}
{{- define "sizeup.replicasNote" -}}
{{- $cost := mulf .profile.hourlyCost .count .maxReplicas -}}
{{- if eq .scaledBy "gateway" }}  x {{ .minReplicas }} to {{ .maxReplicas }}{{ if $cost }} (up to {{ printf "%.2f" $cost }}){{ end }}
{{- else if eq .scaledBy "other" }}  per replica (replicas are not set by this chart)
{{- else if gt (int .maxReplicas) 1 }}  x {{ .maxReplicas }}
{{- end }}
{{- if .scaleToZero }}  (scaled to zero until its first request){{ end }}
{{- end }}
