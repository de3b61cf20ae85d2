{{- define "shoal.peerEnv" -}}
{{- $peer := .Values.peer -}}
- name: SHOAL_PEER_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: SHOAL_ADVERTISE_ADDRESS
  value: $(SHOAL_PEER_NAME).{{ include "shoal.peerService" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:4999
- name: SHOAL_LISTEN_ADDRESS
  value: 0.0.0.0
- name: SHOAL_INDEX_URL
  value: {{ include "shoal.indexUrl" . }}
- name: SHOAL_JOIN_SECRET_FILE
  value: /etc/shoal/join/join-secret
{{- if include "shoal.tls" . }}
- name: SHOAL_TLS_CERT_FILE
  value: /etc/shoal/tls/tls.crt
- name: SHOAL_TLS_KEY_FILE
  value: /etc/shoal/tls/tls.key
- name: SHOAL_TLS_CA_FILE
  value: /etc/shoal/tls/ca.crt
{{- end }}
- name: SHOAL_DATA_DIR
  value: /data/store
- name: SHOAL_SHARE_DIR
  value: /data/share
- name: SHOAL_SOCKET
  value: /run/shoal/control.sock
- name: SHOAL_REPLICAS
  value: {{ $peer.fileReplicas | quote }}
- name: SHOAL_QUOTA_BYTES
  value: {{ $peer.quota | default ($peer.persistence.enabled | ternary "0" $peer.persistence.size) | quote }}
- name: SHOAL_RESERVE_BYTES
  value: {{ $peer.reserve | quote }}
- name: SHOAL_DRAIN_SECONDS
  value: {{ $peer.drainSeconds | quote }}
- name: SHOAL_HAND_OVER
  value: {{ $peer.handOverSeconds | int | eq 0 | ternary "never" ($peer.persistence.enabled | ternary "scale-down" "always") }}
- name: SHOAL_HAND_OVER_SECONDS
  value: {{ $peer.handOverSeconds | quote }}
- name: SHOAL_WAIT_SECONDS
  value: {{ $peer.waitSeconds | quote }}
- name: SHOAL_REQUIRE_LOGIN
  value: {{ $peer.requireLogin | quote }}
- name: SHOAL_LOOPBACK_ACCESS
  value: {{ $peer.loopbackAccess | quote }}
- name: SHOAL_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- with $peer.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
