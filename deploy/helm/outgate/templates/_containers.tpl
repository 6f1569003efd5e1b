{{/*
The containers of the agent's pods. Order matters among those that run first: the unit and the plugin are only files on
the node; the saved rules are loaded last, and then the agent starts.
*/}}

{{- define "outgate.initContainers" -}}
{{- if eq .Values.mode "remove" -}}
{{- if .Values.bootUnit.install -}}
{{ include "outgate.unitContainer" (dict "root" . "name" "remove-boot-unit" "script" "outgate.removeUnit") }}
{{ end -}}
{{ include "outgate.uninstallContainer" . }}
{{- else -}}
{{- if .Values.bootUnit.install -}}
{{ include "outgate.unitContainer" (dict "root" . "name" "boot-unit" "script" "outgate.writeUnit") }}
{{ end -}}
{{- if .Values.cni.install -}}
{{ include "outgate.cniContainer" . }}
{{ end -}}
{{ include "outgate.bootContainer" . }}
{{- if .Values.http.enabled }}
{{ include "outgate.envoyFolderContainer" . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "outgate.imageOf" -}}
image: {{ include "outgate.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "outgate.agentContainer" -}}
- name: agent
  {{- include "outgate.imageOf" . | nindent 2 }}
  args: [agent, run]
  env:
    {{- include "outgate.settings" . | nindent 4 }}
  {{- if .Values.listen }}
  ports:
    # Declared, so that the scheduler sees who else wants it: on the host's network it is the host's port.
    - name: metrics
      containerPort: {{ include "outgate.port" . }}
      hostPort: {{ include "outgate.port" . }}
      protocol: TCP
  # The first list of a large cluster takes its time; until it is done the agent lives and is not ready.
  startupProbe:
    {{- include "outgate.probe" (dict "root" . "path" "/livez") | nindent 4 }}
    periodSeconds: 2
    failureThreshold: 60
  # A restart costs no packet, since the rules stay.
  livenessProbe:
    {{- include "outgate.probe" (dict "root" . "path" "/livez") | nindent 4 }}
    periodSeconds: 10
    failureThreshold: 6
  # Ready after the first full programming of the node.
  readinessProbe:
    {{- include "outgate.probe" (dict "root" . "path" "/readyz") | nindent 4 }}
    periodSeconds: 5
  {{- end }}
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "outgate.netAdmin" . | nindent 4 }}
  volumeMounts:
    - name: state
      mountPath: /var/lib/outgate
    - name: run
      mountPath: /run/outgate
    {{- if .Values.http.enabled }}
    - name: envoy
      mountPath: /run/outgate/envoy
    {{- end }}
    - name: api
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
{{- end -}}

{{/*
The DNS proxy in a container of its own: in the agent's it would end with the agent's first process. The agent starts one
itself when this one dies; whichever comes second stands by (docs/decisions/0016).
*/}}
{{- define "outgate.namesContainer" -}}
- name: names
  {{- include "outgate.imageOf" . | nindent 2 }}
  args: [agent, dns, --standby, --while-down, {{ .Values.names.mode }}]
  {{- with .Values.names.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "outgate.netAdmin" . | nindent 4 }}
  volumeMounts:
    - name: state
      mountPath: /var/lib/outgate
    - name: run
      mountPath: /run/outgate
{{- end -}}

{{/*
Envoy in a container of its own: it goes on, with its rules, while the agent's is started anew. It sees one folder, in
which the agent tells it what may pass (docs/decisions/0017). By its path, since the image's own entrypoint wants to
change the user. It has no probe, because it serves nothing but a socket in that folder: the agent's metrics say if it
lives. What the arguments say is what the agent says where it starts Envoy itself.
*/}}
{{- define "outgate.envoyContainer" -}}
- name: envoy
  image: {{ include "outgate.imageName" (dict "image" .Values.http.image "tag" .Values.http.image.tag) | quote }}
  imagePullPolicy: {{ .Values.http.image.pullPolicy }}
  command: [/usr/local/bin/envoy]
  args:
    - -c
    - /run/outgate/envoy/bootstrap.json
    - --concurrency
    - "2"
    - --disable-hot-restart
    - --file-flush-interval-msec
    - "100"
    - -l
    - warning
  ports:
    # Where the kernel hands it connections of pods; declared, so that the scheduler sees who else wants it.
    - name: requests
      containerPort: 15001
      hostPort: 15001
      protocol: TCP
  {{- with .Values.http.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    # For sockets with addresses of pods.
    {{- include "outgate.netAdmin" . | nindent 4 }}
  volumeMounts:
    - name: envoy
      mountPath: /run/outgate/envoy
{{- end -}}

{{/* What Envoy is started with, and rules that let nothing through until the agent tells others. */}}
{{- define "outgate.envoyFolderContainer" -}}
- name: envoy-folder
  {{- include "outgate.imageOf" . | nindent 2 }}
  args: [agent, envoy]
  securityContext:
    {{- include "outgate.confined" . | nindent 4 }}
  volumeMounts:
    - name: envoy
      mountPath: /run/outgate/envoy
{{- end -}}

{{- define "outgate.settings" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: OUTGATE_MODE
  value: {{ .Values.mode }}
- name: OUTGATE_NEW_PODS
  value: {{ .Values.newPods }}
- name: OUTGATE_ESTABLISHED
  value: {{ .Values.established }}
- name: OUTGATE_DENY
  value: {{ .Values.deny }}
- name: OUTGATE_MARK_MASK
  value: {{ .Values.markMask | quote }}
- name: OUTGATE_LOG_GROUP
  value: {{ .Values.logGroup | quote }}
- name: OUTGATE_LOG_ALLOWED
  value: {{ .Values.logAllowed | quote }}
- name: OUTGATE_INTERFACE_PREFIX
  value: {{ .Values.interfacePrefix | quote }}
- name: OUTGATE_LISTEN
  value: {{ .Values.listen | quote }}
- name: OUTGATE_EVENTS
  value: {{ .Values.events.enabled | quote }}
- name: OUTGATE_NAMES
  value: {{ .Values.names.mode | quote }}
{{- with .Values.names.clusterCIDRs }}
- name: OUTGATE_CLUSTER_CIDR
  value: {{ join " " . | quote }}
{{- end }}
- name: OUTGATE_ENVOY
  value: {{ ternary "sidecar" "off" .Values.http.enabled | quote }}
{{- with .Values.kubernetes.serviceHost }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.kubernetes.servicePort }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "outgate.probe" -}}
httpGet:
  {{- if include "outgate.loopback" .root }}
  # kubelet asks from the node, whose loopback is the agent's.
  host: {{ regexReplaceAll ":[0-9]+$" .root.Values.listen "" | trimAll "[]" | quote }}
  {{- end }}
  path: {{ .path }}
  port: metrics
{{- end -}}

{{/*
The rules of before the reboot, ahead of everything that asks the API server. It may write the state, since a file that
cannot be used is set aside.
*/}}
{{- define "outgate.bootContainer" -}}
- name: boot
  {{- include "outgate.imageOf" . | nindent 2 }}
  args: [agent, boot]
  securityContext:
    {{- include "outgate.netAdmin" . | nindent 4 }}
  volumeMounts:
    - name: state
      mountPath: /var/lib/outgate
{{- end -}}

{{- define "outgate.uninstallContainer" -}}
- name: uninstall
  {{- include "outgate.imageOf" . | nindent 2 }}
  args: [agent, uninstall]
  securityContext:
    {{- include "outgate.netAdmin" . | nindent 4 }}
  volumeMounts:
    - name: state
      mountPath: /var/lib/outgate
    - name: run
      mountPath: /run/outgate
{{- end -}}

{{/* A pod of a DaemonSet has to run to be counted: this one waits for SIGTERM, which as process 1 it has to ask for. */}}
{{- define "outgate.restContainer" -}}
- name: removed
  {{- include "outgate.imageOf" . | nindent 2 }}
  command:
    - /usr/bin/python3
    - -c
    - |
      import signal
      ends = {signal.SIGTERM, signal.SIGINT}
      signal.pthread_sigmask(signal.SIG_BLOCK, ends)
      signal.sigwait(ends)
  resources:
    requests:
      cpu: 1m
      memory: 16Mi
    limits:
      memory: 64Mi
  securityContext:
    {{- include "outgate.confined" . | nindent 4 }}
{{- end -}}

{{- define "outgate.unitContainer" -}}
- name: {{ .name }}
  {{- include "outgate.imageOf" .root | nindent 2 }}
  command: [/bin/sh, -ec]
  args:
    - |
      {{- include .script .root | nindent 6 }}
  securityContext:
    {{- include "outgate.confined" .root | nindent 4 }}
  volumeMounts:
    - name: boot-unit
      mountPath: /unit
      readOnly: true
    - name: systemd
      mountPath: /host
{{- end -}}

{{/*
The link is what `systemctl enable` would make; systemd reads it at the next boot, which is when it is needed. A file is
moved into its place whole, so that no boot finds half of it.
*/}}
{{- define "outgate.writeUnit" -}}
cp /unit/outgate-boot.service /host/.outgate-boot.service.new
chmod 0644 /host/.outgate-boot.service.new
mv -f /host/.outgate-boot.service.new /host/outgate-boot.service
mkdir -p /host/multi-user.target.wants
ln -sfn ../outgate-boot.service /host/multi-user.target.wants/outgate-boot.service
{{- end -}}

{{- define "outgate.removeUnit" -}}
rm -f /host/multi-user.target.wants/outgate-boot.service /host/outgate-boot.service
{{- end -}}

{{/* Moved into place whole: the container runtime may call the plugin at any moment. */}}
{{- define "outgate.cniContainer" -}}
- name: cni-plugin
  {{- include "outgate.imageOf" . | nindent 2 }}
  command: [/bin/sh, -ec]
  args:
    - |
      cp /opt/outgate/libexec/outgate-cni /host/.outgate-cni.new
      chmod 0755 /host/.outgate-cni.new
      mv -f /host/.outgate-cni.new /host/outgate-cni
  securityContext:
    {{- include "outgate.confined" . | nindent 4 }}
  volumeMounts:
    - name: cni-bin
      mountPath: /host
{{- end -}}

{{- define "outgate.volumes" -}}
# The last rules and what they were made from; a reboot finds them here.
- name: state
  hostPath:
    path: /var/lib/outgate
    type: DirectoryOrCreate
# Sockets of `outgate status`, `outgate logs` and the CNI plugin; gone with a reboot.
- name: run
  hostPath:
    path: /run/outgate
    type: DirectoryOrCreate
{{- if ne .Values.mode "remove" }}
{{- if .Values.http.enabled }}
# What Envoy is told, and what it tells. It outlives each container and neither the pod nor a reboot: rules of before
# name addresses that are somebody else's by then.
- name: envoy
  emptyDir:
    medium: Memory
{{- end }}
# What automountServiceAccountToken would bring, for one container instead of all.
- name: api
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}
{{- if .Values.bootUnit.install }}
- name: boot-unit
  configMap:
    name: {{ include "outgate.fullname" . }}-boot-unit
- name: systemd
  hostPath:
    path: {{ .Values.bootUnit.directory | quote }}
    type: Directory
{{- end }}
{{- if and .Values.cni.install (ne .Values.mode "remove") }}
- name: cni-bin
  hostPath:
    path: {{ .Values.cni.binDir | quote }}
    type: DirectoryOrCreate
{{- end }}
{{- end -}}
