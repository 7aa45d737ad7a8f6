{{/* sizeup.pullContainer: list root, model. Downloads and verifies; the only container with the token. */}}
{{- define "sizeup.pullContainer" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $hub := $root.Values.huggingface -}}
- name: pull
  image: {{ include "sizeup.image" (list $root $root.Values.modelCache.download.image "") }}
  {{- include "sizeup.container" $root | nindent 2 }}
  command: [sizeup]
  args: [pull, {{ $model.id }}, --revision, {{ $model.revision | quote }}, --progress-file, --health-port, "8080", --metrics-port, "9090"]
  env:
    - {name: HF_HUB_CACHE, value: /models}
    - {name: HOME, value: /tmp}
    # Consecutive failures before the Job's own, slower backoff: a mirror takes minutes to start.
    - {name: SIZEUP_HUB_ATTEMPTS, value: "10"}
    {{- with $model.endpoint }}
    - {name: HF_ENDPOINT, value: {{ . | quote }}}
    {{- end }}
    {{- with $hub.existingSecret.name }}
    - name: HF_TOKEN
      valueFrom:
        secretKeyRef: {name: {{ . }}, key: {{ $hub.existingSecret.key }}}
    {{- end }}
    {{- if or $hub.proxy.http $hub.proxy.https }}
    {{- with $hub.proxy.http }}
    - {name: HTTP_PROXY, value: {{ . | quote }}}
    {{- end }}
    {{- with $hub.proxy.https }}
    - {name: HTTPS_PROXY, value: {{ . | quote }}}
    {{- end }}
    - {name: NO_PROXY, value: {{ list $hub.proxy.noProxy (include "sizeup.name" (list $root "mirror")) | compact | join "," | quote }}}
    {{- end }}
    {{- if $hub.caConfigMap.name }}
    - {name: SIZEUP_CA_FILE, value: /etc/sizeup-ca/{{ $hub.caConfigMap.key }}}
    {{- end }}
  ports:
    - {name: http, containerPort: 8080}
    - {name: metrics, containerPort: 9090}
  resources:
    {{- toYaml $root.Values.modelCache.download.resources | nindent 4 }}
  volumeMounts:
    {{- include "sizeup.cacheMount" (list $root false) | nindent 4 }}
    - {name: tmp, mountPath: /tmp}
    {{- if $hub.caConfigMap.name }}
    - {name: ca, mountPath: /etc/sizeup-ca, readOnly: true}
    {{- end }}
{{- end }}

{{- define "sizeup.caVolume" -}}
{{- with .Values.huggingface.caConfigMap.name }}
- name: ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end }}

{{/* sizeup.isDownloaded: list root, model. "yes" if a Job downloads its weights, else empty. */}}
{{- define "sizeup.isDownloaded" -}}
{{- $cache := (index . 0).Values.modelCache -}}
{{- if and (index . 1).isCached $cache.download.enabled (ne $cache.mode "ephemeral") }}yes{{ end -}}
{{- end }}

{{/* sizeup.pullJobName: list root, model */}}
{{- define "sizeup.pullJobName" -}}
{{- $spec := include "sizeup.pullJob" . | fromYaml | toJson -}}
{{- include "sizeup.name" (without (list (index . 0) "pull" (index . 1).key ($spec | sha256sum | trunc 8)) "") -}}
{{- end }}

{{/* sizeup.pullJob: list root, model. The Job's spec; separate because its hash is part of the Job's name. */}}
{{- define "sizeup.pullJob" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $download := $root.Values.modelCache.download -}}
backoffLimit: {{ $download.backoffLimit }}
activeDeadlineSeconds: {{ int64 $download.deadlineSeconds }}
podFailurePolicy:
  rules:
    # An evicted download resumes, so an eviction does not count as a failure.
    - action: Ignore
      onPodConditions:
        - {type: DisruptionTarget, status: "True"}
template:
  {{- $fields := merge (include "sizeup.pullPlacement" . | fromJson) (include "sizeup.podFields" (list $download) | fromJson) }}
  {{- include "sizeup.podTemplate" (list $root "download" $download.serviceAccount $fields (include "sizeup.pullPod" .)) | nindent 2 }}
{{- end }}

{{/* sizeup.pullPod: list root, model */}}
{{- define "sizeup.pullPod" }}
{{- $root := index . 0 }}
{{- $model := index . 1 }}
  metadata:
    labels:
      {{- include "sizeup.selector" (without (list $root "download" $model.key) "") | nindent 6 }}
      {{- with include "sizeup.diskLabel" . }}
      {{- . | nindent 6 }}
      {{- end }}
  spec:
    restartPolicy: Never
    terminationGracePeriodSeconds: 30
    containers:
      {{- include "sizeup.pullContainer" . | nindent 6 }}
    volumes:
      - name: models
        {{- include "sizeup.cacheVolume" (list $root $model false) | nindent 8 }}
      - name: tmp
        emptyDir: {sizeLimit: 64Mi}
      {{- include "sizeup.caVolume" $root | nindent 6 }}
{{- end }}
