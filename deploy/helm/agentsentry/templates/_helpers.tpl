{{- define "agentsentry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "agentsentry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "agentsentry.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "agentsentry.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "agentsentry.kubeVersion" -}}
{{- default .Capabilities.KubeVersion.Version .Values.kubeVersion -}}
{{- end -}}

{{- define "agentsentry.collector" -}}
{{- include "agentsentry.fullname" . }}-collector
{{- end -}}

{{/* Labels that never change, for selectors: a dict of root and component. */}}
{{- define "agentsentry.selector" -}}
app.kubernetes.io/name: {{ include "agentsentry.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "agentsentry.labels" -}}
{{ include "agentsentry.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: agentsentry
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "agentsentry.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{/* Where sensors stream to; empty: nowhere. */}}
{{- define "agentsentry.endpoint" -}}
{{- if .Values.collector.endpoint -}}
{{ .Values.collector.endpoint }}
{{- else if .Values.collector.enabled -}}
https://{{ include "agentsentry.collector" . }}.{{ .Release.Namespace }}.svc:4319
{{- end -}}
{{- end -}}

{{- define "agentsentry.authority" -}}
{{- default (printf "%s-authority" (include "agentsentry.fullname" .)) .Values.tls.secretName -}}
{{- end -}}

{{/* The sensor's config.yaml. */}}
{{- define "agentsentry.sensorConfig" -}}
{{- $config := deepCopy .Values.sensor.config -}}
{{- $_ := set $config "version" 1 -}}
{{- $_ := set $config "sensor" (mergeOverwrite (dict "group" "") (default (dict) $config.sensor)) -}}
{{- $_ := set $config "agents" .Values.sensor.agents -}}
{{- with include "agentsentry.endpoint" . -}}
{{- $dir := "/run/agentsentry-tls" -}}
{{- $tls := dict "ca" (printf "%s/ca.crt" $dir) "cert" (printf "%s/tls.crt" $dir) "key" (printf "%s/tls.key" $dir) -}}
{{- $_ := set $config "collector" (dict "endpoint" . "tls" $tls) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "agentsentry.collectorConfig" -}}
version: 1
listen_grpc: 0.0.0.0:4319
tls:
  cert: /run/agentsentry-tls/tls.crt
  key: /run/agentsentry-tls/tls.key
  client_ca: /run/agentsentry-tls/ca.crt
{{- if .Values.collector.http.expose }}
listen_http: 0.0.0.0:8440
allow_plaintext_remote: true
{{- $service := printf "%s.%s.svc" (include "agentsentry.collector" .) .Release.Namespace }}
http_names: {{ concat (list (include "agentsentry.collector" .) $service) .Values.collector.http.names | toJson }}
{{- else }}
listen_http: 127.0.0.1:8440
{{- with .Values.collector.http.names }}
http_names: {{ toJson . }}
{{- end }}
{{- end }}
data_dir: /var/lib/agentsentry-collector/data
retention_bytes: {{ .Values.collector.retentionBytes | int64 }}
{{- end -}}

{{/* The init container that makes a pod's key and certificate: a dict of root, for and args. */}}
{{- define "agentsentry.certify" -}}
- name: certify
  image: {{ include "agentsentry.image" (dict "root" .root "image" .root.Values.collector.image) }}
  imagePullPolicy: {{ .root.Values.collector.image.pullPolicy }}
  args:
    - certify
    {{- range .args }}
    - {{ . }}
    {{- end }}
    - --ca-cert=/authority/tls.crt
    - --ca-key=/authority/tls.key
    - --out=/run/agentsentry-tls
  {{- if .node }}
  env:
    - name: NODE_NAME
      valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  {{- end }}
  securityContext:
    runAsUser: {{ .user }}
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: authority, mountPath: /authority, readOnly: true}
    - {name: tls, mountPath: /run/agentsentry-tls}
{{- end -}}
