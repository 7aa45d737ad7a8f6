{{/* A size on GPUs does not hold them while its weights are downloaded: its Deployment is paused, so that Kubernetes creates
     no pod of its present template, and the gateway resumes it when the Jobs that the annotation names are complete. */}}

{{/* sizeup.gatingJobs: list root, model. The names of the download Jobs that the rollout awaits, as JSON. */}}
{{- define "sizeup.gatingJobs" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $jobs := list -}}
{{- if and $root.Values.modelCache.download.pausesRollouts (include "sizeup.isDownloaded" .) (include "sizeup.holdsDevices" $model) -}}
{{- $jobs = append $jobs (include "sizeup.pullJobName" .) -}}
{{- with $model.draft -}}
{{- $jobs = append $jobs (include "sizeup.pullJobName" (list $root (get (include "sizeup.models" $root | fromJson) .key))) -}}
{{- end -}}
{{- end -}}
{{- toJson $jobs -}}
{{- end }}

{{/* sizeup.unfinishedJobs: same arguments. Those that are not known to be complete. */}}
{{- define "sizeup.unfinishedJobs" -}}
{{- $root := index . 0 -}}
{{- $jobs := list -}}
{{- range $name := include "sizeup.gatingJobs" . | fromJsonArray -}}
{{- $complete := false -}}
{{- range include "sizeup.lookup" (list $root "Job" $name) | fromJson | dig "status" "conditions" list -}}
{{- if and (eq .type "Complete") (eq .status "True") }}{{ $complete = true }}{{ end -}}
{{- end -}}
{{- if not $complete }}{{ $jobs = append $jobs $name }}{{ end -}}
{{- end -}}
{{- toJson $jobs -}}
{{- end }}

{{/* sizeup.holdsDevices: model. "yes" if its pods request GPUs or other devices, else empty. */}}
{{- define "sizeup.holdsDevices" -}}
{{- $requested := merge dict (.resources.limits | default dict) (.resources.requests | default dict) -}}
{{- if or (contains "/" (keys $requested | join " ")) .resources.claims }}yes{{ end -}}
{{- end }}
