{{/* sizeup.lookup: list root, kind, name. The object as it exists in the cluster, as JSON; {} if it does not
     exist and for `helm template`. */}}
{{- define "sizeup.lookup" -}}
{{- $versions := dict "Deployment" "apps/v1" "PersistentVolumeClaim" "v1" "Job" "batch/v1" -}}
{{- lookup (get $versions (index . 1)) (index . 1) (index . 0).Release.Namespace (index . 2) | toJson -}}
{{- end }}
