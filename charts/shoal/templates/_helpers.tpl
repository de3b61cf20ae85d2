{{/* --- names --- */}}

{{- define "shoal.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Every name begins with it. Short enough for "-mongodb" and the hash that a StatefulSet's pods get as a label. */}}
{{- define "shoal.fullname" -}}
{{- $name := include "shoal.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $default .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the headless Service: part of the peers' addresses. */}}
{{- define "shoal.peerService" -}}
{{ include "shoal.fullname" . }}-peer
{{- end -}}

{{- define "shoal.indexUrl" -}}
http://{{ include "shoal.fullname" . }}-index.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:5000
{{- end -}}

{{- define "shoal.mongodbHost" -}}
{{ include "shoal.fullname" . }}-mongodb.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* Takes (list ROOT COMPONENT). */}}
{{- define "shoal.serviceAccountName" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $account := (get $root.Values $component).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (printf "%s-%s" (include "shoal.fullname" $root) $component) -}}
{{- else -}}
{{- $account.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "shoal.joinSecretName" -}}
{{ .Values.join.existingSecret | default (printf "%s-join" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.signingKeySecretName" -}}
{{ .Values.signingKey.existingSecret | default (printf "%s-signing-key" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.tlsSecretName" -}}
{{ .Values.tls.existingSecret | default (printf "%s-peer-tls" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.mongodbSecretName" -}}
{{ .Values.mongodb.existingSecret | default (printf "%s-mongodb" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.storeSecretName" -}}
{{ .Values.mongodb.external.existingSecret | default (printf "%s-store" (include "shoal.fullname" .)) }}
{{- end -}}

{{/* A label with which a pod of the namespace may use the HTTP doors. */}}
{{- define "shoal.clientLabel" -}}
{{ include "shoal.fullname" . }}-client: 'true'
{{- end -}}

{{/* --- labels; each takes (list ROOT COMPONENT) --- */}}

{{- define "shoal.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "shoal.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: shoal
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* Those that never change, by which pods are found. */}}
{{- define "shoal.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "shoal.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* --- choices --- */}}

{{/* Where the index keeps its state: "mongodb" (of this chart), "external" or "embedded". */}}
{{- define "shoal.store" -}}
{{- $external := .Values.mongodb.external -}}
{{- $isExternal := or $external.uri $external.existingSecret -}}
{{- if and .Values.mongodb.enabled $isExternal -}}
{{- fail "mongodb.external names a MongoDB of yours, and mongodb.enabled asks for another: set mongodb.enabled=false" -}}
{{- else if and $external.uri $external.existingSecret -}}
{{- fail "mongodb.external.uri and mongodb.external.existingSecret are both set: one of them must be empty" -}}
{{- else if .Values.mongodb.enabled -}}mongodb
{{- else if $isExternal -}}external
{{- else if gt (int .Values.index.replicas) 1 -}}
{{- fail (printf "index.replicas is %d, but without MongoDB there is room for one: set index.replicas=1, mongodb.enabled=true or mongodb.external" (int .Values.index.replicas)) -}}
{{- else -}}embedded
{{- end -}}
{{- end -}}

{{/* Where the certificate of the peers comes from: "generated" or "existing"; empty without TLS. */}}
{{- define "shoal.tls" -}}
{{- $tls := .Values.tls -}}
{{- if and $tls.existingSecret (not $tls.enabled) -}}
{{- fail "tls.existingSecret names a Secret, but without tls.enabled=true nobody would use it" -}}
{{- else if $tls.existingSecret -}}existing
{{- else if $tls.enabled -}}generated
{{- end -}}
{{- end -}}

{{/* "true" when files or a catalogue stay after the release: then what opens them stays, too. */}}
{{- define "shoal.outlivesRelease" -}}
{{- $peer := .Values.peer.persistence -}}
{{- $store := include "shoal.store" . -}}
{{- if or (and $peer.enabled (eq $peer.whenDeleted "Retain")) (eq $store "external") -}}true
{{- else if and (eq $store "embedded") (eq .Values.index.persistence.whenDeleted "Retain") -}}true
{{- else if and (eq $store "mongodb") (include "shoal.mongodbOutlivesRelease" .) -}}true
{{- end -}}
{{- end -}}

{{- define "shoal.mongodbOutlivesRelease" -}}
{{- $persistence := .Values.mongodb.persistence -}}
{{- if and $persistence.enabled (eq $persistence.whenDeleted "Retain") -}}true{{- end -}}
{{- end -}}

{{/* Takes (list IMAGE DEFAULT_TAG). */}}
{{- define "shoal.image" -}}
{{- $image := index . 0 -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end }}
{{- end -}}

{{/* A value of a Secret in base64: the one that exists, else a new one. Takes (list ROOT SECRET KEY NEW). */}}
{{- define "shoal.keptSecret" -}}
{{- $root := index . 0 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace (index . 1) | default dict -}}
{{- get ($secret.data | default dict) (index . 2) | default (b64enc (index . 3)) -}}
{{- end -}}

{{/* --- parts of pods --- */}}

{{/* Where pods run and by what right; takes (list ROOT COMPONENT). */}}
{{- define "shoal.podPlacing" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
dnsConfig:
  options:
    # Names in the cluster have more dots: asked for as they are, without the search list first.
    - name: ndots
      value: '2'
# A Service of this chart would set variables that look like settings, such as SHOAL_INDEX_PORT.
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $selector := dict "labelSelector" (dict "matchLabels" (include "shoal.selectorLabels" $ | fromYaml)) }}
  {{- range . }}
  - {{ merge (dict) . $selector | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of pods; takes (list ROOT COMPONENT PORT), a port of 0 meaning no metrics. */}}
{{- define "shoal.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
{{- $port := index . 2 -}}
labels:
  {{- include "shoal.selectorLabels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict }}
{{- if and $port $root.Values.metrics.annotations }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString $port) "prometheus.io/path" "/metrics" }}
{{- end }}
{{- if and (eq (index . 1) "index") $root.Values.mongodb.external.uri }}
{{- /* Read at the start only, so that pods must start again when it changes. */}}
{{- $_ := set $annotations "checksum/config" (sha256sum $root.Values.mongodb.external.uri) }}
{{- end }}
{{- with merge (dict) $values.podAnnotations $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Probes of index and peers, on the port named http. Takes the seconds that a start may take. */}}
{{- define "shoal.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ div . 2 }}
# Whether the process answers, and nothing else: a restart mends nothing outside of it.
livenessProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Between the moment in which a pod begins to leave and the one in which nothing is sent to it any more. */}}
{{- define "shoal.preStop" -}}
{{- if . }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end -}}

{{/* Claim of a StatefulSet. Its labels can never change. Takes (list ROOT COMPONENT). */}}
{{- define "shoal.volumeClaim" -}}
{{- $root := index . 0 -}}
{{- $persistence := (get $root.Values (index . 1)).persistence -}}
metadata:
  name: data
  labels:
    {{- include "shoal.selectorLabels" . | nindent 4 }}
spec:
  {{- include "shoal.claimSpec" $persistence | nindent 2 }}
{{- end -}}

{{- define "shoal.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}

{{/* --- whole objects; each takes (list ROOT COMPONENT) --- */}}

{{- define "shoal.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := (get $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "shoal.serviceAccountName" . }}
  labels:
    {{- include "shoal.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# Mounted by the pods that need it.
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{- define "shoal.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "shoal.fullname" $root }}-{{ $component }}
  labels:
    {{- include "shoal.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ (get $root.Values $component).podDisruptionBudget.maxUnavailable }}
  # A pod that is not well protects nobody.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "shoal.selectorLabels" . | nindent 6 }}
{{- end -}}
