{{- define "shoal.indexEnv" -}}
{{- $store := include "shoal.store" . -}}
- name: SHOAL_LISTEN_ADDRESS
  value: 0.0.0.0
- name: SHOAL_STORE
  {{- if eq $store "embedded" }}
  value: embedded:/data/catalog.db
  {{- else if eq $store "mongodb" }}
  valueFrom:
    secretKeyRef:
      name: {{ include "shoal.mongodbSecretName" . }}
      key: uri
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ include "shoal.storeSecretName" . }}
      key: {{ .Values.mongodb.external.existingSecretKey }}
  {{- end }}
- name: SHOAL_JOIN_SECRET_FILE
  value: /etc/shoal/join/join-secret
- name: SHOAL_SIGNING_KEY_FILE
  value: /etc/shoal/signing-key/signing-key.pem
- name: SHOAL_SESSION_HOURS
  value: {{ .Values.index.sessionHours | quote }}
- name: SHOAL_KEEP_VERSIONS
  value: {{ .Values.index.keepVersions | quote }}
- name: SHOAL_LEASE_SECONDS
  value: {{ .Values.index.leaseSeconds | quote }}
- name: SHOAL_REPAIR_AFTER_SECONDS
  value: {{ .Values.index.repairAfterSeconds | quote }}
- name: SHOAL_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- if .Values.index.endpointWatch.enabled }}
- name: SHOAL_PEER_SERVICE
  value: {{ include "shoal.peerService" . }}
- name: SHOAL_PEER_STATEFUL_SET
  value: {{ include "shoal.fullname" . }}-peer
- name: SHOAL_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}
{{- with .Values.index.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
