{{- define "pushmetrics.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pushmetrics.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pushmetrics.labels" -}}
{{ include "pushmetrics.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "pushmetrics.metadata" -}}
name: {{ include "pushmetrics.fullname" .root }}-{{ .component }}
labels:
  {{- include "pushmetrics.labels" . | nindent 2 }}
{{- end -}}

{{- define "pushmetrics.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What every pod has, but its containers and volumes. */}}
{{- define "pushmetrics.podSpec" -}}
enableServiceLinks: false
automountServiceAccountToken: false
serviceAccountName: {{ include "pushmetrics.fullname" .root }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "pushmetrics.selector" . | nindent 8 }}
{{- end -}}

{{/* The probes of a container whose port is named http. */}}
{{- define "pushmetrics.probes" -}}
startupProbe:
  httpGet: {path: /health/live, port: http}
  periodSeconds: 5
  # A pod that migrates its database answers when that has ended; one that is ended before begins it again.
  failureThreshold: {{ max 1 (div (add .Values.startSeconds 4) 5) }}
livenessProbe:
  httpGet: {path: /health/live, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* A rolling upgrade takes no process away before its successor is ready. */}}
{{- define "pushmetrics.strategy" -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}

{{/* The environment of web processes and workers. */}}
{{- define "pushmetrics.serviceEnvironment" -}}
- {name: PUSHMETRICS_SERVICE_DATA, value: /var/lib/pushmetrics}
- {name: PUSHMETRICS_SERVICE_DATABASE_URL_FILE, value: /run/secrets/pushmetrics/database-url}
- {name: PUSHMETRICS_SERVICE_SECRET_KEYS_FILE, value: /run/secrets/pushmetrics/secret-keys}
- {name: PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN_FILE, value: /run/secrets/pushmetrics/bootstrap-token}
- {name: PUSHMETRICS_SERVICE_PUBLIC_URL, value: {{ required "service.publicUrl is not set: links in events and mails begin with it, such as https://push.example.com" .Values.service.publicUrl | quote }}}
- {name: PUSHMETRICS_SERVICE_ALLOW_PRIVATE_ENDPOINTS, value: {{ .Values.service.allowPrivateEndpoints | quote }}}
{{- if .Values.service.hasListenDatabaseUrl }}
- {name: PUSHMETRICS_SERVICE_LISTEN_DATABASE_URL_FILE, value: /run/secrets/pushmetrics/listen-database-url}
{{- end }}
{{- with .Values.service.resultsUrl }}
- {name: PUSHMETRICS_SERVICE_RESULTS_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.service.smtp }}
{{- if .host }}
- {name: PUSHMETRICS_SERVICE_SMTP_HOST, value: {{ .host | quote }}}
- {name: PUSHMETRICS_SERVICE_SMTP_SENDER, value: {{ .sender | quote }}}
- {name: PUSHMETRICS_SERVICE_SMTP_SECURITY, value: {{ .security | quote }}}
{{- if .port }}
- {name: PUSHMETRICS_SERVICE_SMTP_PORT, value: {{ .port | quote }}}
{{- end }}
{{- if .user }}
- {name: PUSHMETRICS_SERVICE_SMTP_USER, value: {{ .user | quote }}}
- {name: PUSHMETRICS_SERVICE_SMTP_PASSWORD_FILE, value: /run/secrets/pushmetrics/smtp-password}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.service.slack.enabled }}
- {name: PUSHMETRICS_SERVICE_SLACK_TOKEN_FILE, value: /run/secrets/pushmetrics/slack-token}
{{- end }}
{{- with .Values.service.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pushmetrics.serviceMounts" -}}
- {name: data, mountPath: /var/lib/pushmetrics}
- {name: secrets, mountPath: /run/secrets/pushmetrics, readOnly: true}
- {name: temporary, mountPath: /tmp}
{{- end -}}

{{- define "pushmetrics.serviceVolumes" -}}
{{- if and .Values.service.demo .Values.service.resultsUrl (not .Values.service.data.existingClaim) }}
{{- fail "service.demo needs a volume that web and workers share: set service.data.existingClaim, or leave service.resultsUrl empty" }}
{{- end }}
- name: data
  {{- if and .Values.service.resultsUrl (not .Values.service.data.existingClaim) }}
  emptyDir: {}
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ .Values.service.data.existingClaim | default (printf "%s-data" (include "pushmetrics.fullname" .)) }}
  {{- end }}
- name: secrets
  secret: {secretName: {{ .Values.service.existingSecret }}, defaultMode: 0440}
- name: temporary
  emptyDir: {}
{{- end -}}

{{- define "pushmetrics.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "pushmetrics.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .budget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "pushmetrics.selector" . | nindent 6 }}
{{- end -}}

{{- define "pushmetrics.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "pushmetrics.metadata" . | nindent 2 }}
spec:
  type: {{ .service.type }}
  selector:
    {{- include "pushmetrics.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ .service.port }}, targetPort: http}
{{- end -}}

{{- define "pushmetrics.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "pushmetrics.metadata" . | nindent 2 }}
  {{- with .ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .ingress.tlsSecret }}
  tls:
    - hosts: [{{ $.ingress.host | quote }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ required "an ingress needs a host" .ingress.host | quote }}
      http:
        paths:
          {{- range .paths }}
          - path: {{ . }}
            pathType: Prefix
            backend:
              service:
                name: {{ include "pushmetrics.fullname" $.root }}-{{ $.component }}
                port: {name: http}
          {{- end }}
{{- end -}}
