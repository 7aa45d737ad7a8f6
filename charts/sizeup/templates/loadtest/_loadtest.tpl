{{/* The Job that benchmarks the models through the gateway. */}}

{{- define "sizeup.loadtestConfigHash" -}}
{{- toJson .Values.loadtest.config | sha256sum | trunc 8 -}}
{{- end }}

{{/* Comma-separated names of the models under test; they override those of the scenario. */}}
{{- define "sizeup.loadtestModels" -}}
{{- $names := list -}}
{{- range $model := include "sizeup.models" . | fromJson }}{{ $names = append $names (first $model.names) }}{{ end -}}
{{- .Values.loadtest.models | default $names | join "," -}}
{{- end }}

{{- define "sizeup.loadtestArguments" -}}
- run
{{- if .Values.loadtest.config }}
- --config=/etc/sizeup-loadtest/loadtest.yaml
{{- with .Values.loadtest.models }}
- --models={{ join "," . }}
{{- end }}
{{- else }}
- --scenario={{ .Values.loadtest.scenario }}
- --models={{ include "sizeup.loadtestModels" . }}
{{- end }}
- --out=/runs/$(POD_NAME)
{{- if not .Values.loadtest.existingClaim }}
- --print-files
{{- end }}
{{- end }}

{{/* Away from the inference pods; preferred, so that a single node can run all pods. */}}
{{- define "sizeup.loadtestAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "sizeup.selector" (list . "inference") | nindent 12 }}
{{- end }}

{{- define "sizeup.loadtestContainer" -}}
- name: loadtest
  image: {{ include "sizeup.image" (list . .Values.loadtest.image "") }}
  {{- include "sizeup.container" . | nindent 2 }}
  command: [sizeup-bench]
  args:
    {{- include "sizeup.loadtestArguments" . | nindent 4 }}
  env:
    - {name: HOME, value: /tmp}
    - {name: SIZEUP_URL, value: "http://{{ include "sizeup.name" (list . "gateway") }}:{{ .Values.gateway.service.port }}"}
    {{- if .Values.auth.existingSecret.name }}
    - {name: SIZEUP_API_KEY_FILE, value: /etc/sizeup-keys/{{ .Values.auth.existingSecret.key }}}
    {{- end }}
    - name: POD_NAME
      valueFrom:
        fieldRef: {fieldPath: metadata.name}
  # Requests equal limits, so that other pods do not distort the measurement.
  resources:
    requests:
      {{- toYaml .Values.loadtest.resources | nindent 6 }}
    limits:
      {{- toYaml .Values.loadtest.resources | nindent 6 }}
  volumeMounts:
    - {name: runs, mountPath: /runs}
    - {name: tmp, mountPath: /tmp}
    {{- if .Values.loadtest.config }}
    - {name: config, mountPath: /etc/sizeup-loadtest, readOnly: true}
    {{- end }}
    {{- if .Values.auth.existingSecret.name }}
    - {name: keys, mountPath: /etc/sizeup-keys, readOnly: true}
    {{- end }}
{{- end }}

{{- define "sizeup.loadtestVolumes" -}}
- name: runs
  {{- if .Values.loadtest.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .Values.loadtest.existingClaim }}}
  {{- else }}
  emptyDir: {sizeLimit: 1Gi}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if .Values.loadtest.config }}
- name: config
  configMap: {name: {{ include "sizeup.name" (list . "loadtest" (include "sizeup.loadtestConfigHash" .)) }}}
{{- end }}
{{- with .Values.auth.existingSecret.name }}
- name: keys
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* The Job's spec; separate because its hash is part of the Job's name. */}}
{{- define "sizeup.loadtestJob" -}}
{{- $loadtest := .Values.loadtest -}}
# A retry would be a different measurement.
backoffLimit: 0
activeDeadlineSeconds: {{ int64 $loadtest.deadlineSeconds }}
ttlSecondsAfterFinished: {{ int64 $loadtest.ttlSeconds }}
template:
  {{- $fields := include "sizeup.podFields" (list $loadtest) | fromJson }}
  {{- include "sizeup.podTemplate" (list . "loadtest" $loadtest.serviceAccount $fields (include "sizeup.loadtestPod" .)) | nindent 2 }}
{{- end }}

{{- define "sizeup.loadtestPod" }}
  metadata:
    labels:
      {{- include "sizeup.selector" (list . "loadtest") | nindent 6 }}
    {{- with .Values.loadtest.run }}
    annotations:
      sizeup.dev/run: {{ . | quote }}
    {{- end }}
  spec:
    affinity:
      {{- include "sizeup.loadtestAffinity" . | nindent 6 }}
    restartPolicy: Never
    # Time to write the report of a run that is cut short.
    terminationGracePeriodSeconds: 60
    containers:
      {{- include "sizeup.loadtestContainer" . | nindent 6 }}
    volumes:
      {{- include "sizeup.loadtestVolumes" . | nindent 6 }}
{{- end }}
