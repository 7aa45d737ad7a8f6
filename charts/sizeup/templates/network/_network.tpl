{{/* Building blocks of the NetworkPolicies. */}}

{{/* sizeup.policy: list root, component. Metadata and podSelector. */}}
{{- define "sizeup.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "sizeup.name" . }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels:
    {{- include "sizeup.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "sizeup.selector" . | nindent 6 }}
{{- end }}

{{/* sizeup.peer: list root, component. A NetworkPolicyPeer for pods of this release. */}}
{{- define "sizeup.peer" -}}
- podSelector:
    matchLabels:
      {{- include "sizeup.selector" . | nindent 6 }}
{{- end }}

{{- define "sizeup.toDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: {{ .Values.networkPolicy.dnsPort }}}
    - {protocol: TCP, port: {{ .Values.networkPolicy.dnsPort }}}
{{- end }}

{{- define "sizeup.fromPrometheus" -}}
- from:
    {{- toYaml (list .Values.networkPolicy.prometheus) | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9090}
{{- end }}

{{/* Egress to the sources of weights: the hub or a proxy outside, and the in-cluster mirror. */}}
{{- define "sizeup.toHub" -}}
{{- $policy := .Values.networkPolicy.download -}}
{{- if $policy.cidrs -}}
- to:
    {{- range $policy.cidrs }}
    - ipBlock: {{ kindIs "string" . | ternary (dict "cidr" .) . | toJson }}
    {{- end }}
  ports:
    {{- range include "sizeup.hubPorts" . | fromJsonArray }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- if .Values.mirror.enabled }}
- to:
    {{- include "sizeup.peer" (list . "mirror") | nindent 4 }}
  ports:
    - {protocol: TCP, port: 8090}
{{- end }}
{{- end }}

{{/* Ports of the configured endpoints and proxies, and networkPolicy.download.ports. */}}
{{- define "sizeup.hubPorts" -}}
{{- $hub := .Values.huggingface -}}
{{- $urls := list $hub.endpoint $hub.proxy.http $hub.proxy.https -}}
{{- range .Values.models }}{{ with . }}{{ $urls = append $urls .endpoint }}{{ end }}{{ end -}}
{{- range .Values.modelCache.prefetch }}{{ $urls = append $urls .endpoint }}{{ end -}}
{{- $ports := .Values.networkPolicy.download.ports | default list -}}
{{- range compact $urls }}{{ $ports = append $ports (include "sizeup.urlPort" .) }}{{ end -}}
{{- $numbers := list -}}
{{- range $ports }}{{ $numbers = append $numbers (int .) }}{{ end -}}
{{- $numbers | uniq | toJson -}}
{{- end }}

{{/* sizeup.ipFamilies: values of a Service. Its fields of dual-stack clusters. */}}
{{- define "sizeup.ipFamilies" -}}
{{- with .ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .ipFamilies }}
  ipFamilies: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "sizeup.urlPort" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (hasPrefix "https:" . | ternary "443" "80") -}}
{{- end }}

{{/* Egress to the collector of traces. */}}
{{- define "sizeup.toCollector" -}}
{{- with .Values.tracing.endpoint -}}
- ports:
    - {protocol: TCP, port: {{ include "sizeup.urlPort" . }}}
  {{- with $.Values.networkPolicy.collector }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end }}
