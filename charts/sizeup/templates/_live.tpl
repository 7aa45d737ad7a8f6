{{/* sizeup.live: list root, kind, name. The object as it is in the cluster, as JSON; {} where there is
     none, and for `helm template`. */}}
{{- define "sizeup.live" -}}
{{- $versions := dict "Deployment" "apps/v1" "PersistentVolumeClaim" "v1" -}}
{{- lookup (get $versions (index . 1)) (index . 1) (index . 0).Release.Namespace (index . 2) | toJson -}}
{{- end }}
