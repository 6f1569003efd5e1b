{{/*
Names and labels, once. Labels are the recommended ones of Kubernetes, app.kubernetes.io/*. A DaemonSet's selector is
immutable, so it holds only what never changes in the life of a release.
*/}}

{{- define "outgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters leave room for the longest suffix, within the 63 of a label's value. */}}
{{- define "outgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "outgate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "outgate.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "outgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "outgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end -}}

{{/* The pod of `helm test` is no agent, and nothing that selects agents may take it for one. */}}
{{- define "outgate.testLabels" -}}
app.kubernetes.io/name: {{ include "outgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "outgate.labels" -}}
{{ include "outgate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: outgate
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "outgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "outgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "outgate.image" -}}
{{- include "outgate.imageName" (dict "image" .Values.image "tag" (default .Chart.AppVersion .Values.image.tag)) -}}
{{- end -}}

{{/* The reference of an image: registry, repository, and its digest, or else the tag. */}}
{{- define "outgate.imageName" -}}
{{- $name := .image.repository -}}
{{- if .image.registry -}}
{{- $name = printf "%s/%s" .image.registry $name -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .tag -}}
{{- end -}}
{{- end -}}

{{/* The port of `listen`, after its last colon: [::]:9765 has several. */}}
{{- define "outgate.port" -}}
{{- regexFind "[0-9]+$" .Values.listen -}}
{{- end -}}

{{/* Not empty where `listen` is an address that only the node itself reaches. */}}
{{- define "outgate.loopback" -}}
{{- if regexMatch "^(127\\.|\\[::1\\]:|localhost:)" .Values.listen -}}true{{- end -}}
{{- end -}}

{{/* What every container of the agent's pods is held to; the agent itself gets one capability more. */}}
{{- define "outgate.confined" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/* Changes of rulesets ask the kernel for this one capability, and nothing that the agent does asks for another. */}}
{{- define "outgate.netAdmin" -}}
{{ include "outgate.confined" . }}
  add:
    - NET_ADMIN
{{- end -}}
