{{/* Every name begins with it. Short enough for "-mongodb", "-peer-1234" and the hash of a StatefulSet's revision. */}}
{{- define "shoal.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "shoal.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "shoal.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of a program's objects. Takes (list ROOT COMPONENT). */}}
{{- define "shoal.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "shoal.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: shoal
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* Labels that never change, by which pods are selected. Takes (list ROOT COMPONENT). */}}
{{- define "shoal.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "shoal.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Reference of an image. Takes (list VALUES DEFAULT_TAG). */}}
{{- define "shoal.image" -}}
{{- $image := index . 0 -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end }}
{{- end -}}

{{/* "mongodb" (of this chart), "external" or "embedded". */}}
{{- define "shoal.store" -}}
{{- $external := or .Values.mongodb.external.uri .Values.mongodb.external.existingSecret -}}
{{- if .Values.mongodb.enabled -}}mongodb
{{- else if $external -}}external
{{- else -}}embedded
{{- end -}}
{{- end -}}

{{- define "shoal.peerService" -}}{{ include "shoal.fullname" . }}-peer{{- end -}}

{{- define "shoal.indexUrl" -}}
http://{{ include "shoal.fullname" . }}-index.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:5000
{{- end -}}

{{- define "shoal.joinSecretName" -}}
{{ .Values.join.existingSecret | default (printf "%s-join" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.signingKeySecretName" -}}
{{ .Values.signingKey.existingSecret | default (printf "%s-signing-key" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.mongodbSecretName" -}}
{{ .Values.mongodb.existingSecret | default (printf "%s-mongodb" (include "shoal.fullname" .)) }}
{{- end -}}

{{- define "shoal.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Of a pod whose process runs as the user given. */}}
{{- define "shoal.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Names within the cluster have four dots or more, so that two say that a name is whole: no search list is tried. */}}
{{- define "shoal.dnsConfig" -}}
options:
  - name: ndots
    value: '2'
{{- end -}}

{{/* A value of a Secret in base64: the one that exists, else the given. Takes (list ROOT NAME KEY NEW). */}}
{{- define "shoal.keptSecret" -}}
{{- $root := index . 0 -}}
{{- $existing := lookup "v1" "Secret" $root.Release.Namespace (index . 1) | default dict -}}
{{- get ($existing.data | default dict) (index . 2) | default (b64enc (index . 3)) -}}
{{- end -}}
