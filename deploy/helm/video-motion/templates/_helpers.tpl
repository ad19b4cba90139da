{{- define "video-motion.fullname" -}}
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

{{- define "video-motion.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "video-motion.labels" -}}
{{ include "video-motion.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "video-motion.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "video-motion.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Seconds that the requests of a pod wait, for each second that they are computed; below one request at work, for one.
     Arguments: the matchers of the series, and by (...) or nothing. deploy/prometheus-adapter-values.yaml has the same. */}}
{{- define "video-motion.queueRatio" -}}
{{- $models := "model!~\"video_motion|video_signals\"" -}}
(sum(avg_over_time(video_motion_requests_waiting{ {{- .matchers -}} }[2m])){{ .by }} + sum(rate(nv_inference_queue_duration_us{ {{- .matchers }},{{ $models -}} }[2m])){{ .by }} / 1e6) / clamp_min(sum(rate(nv_inference_compute_infer_duration_us{ {{- .matchers }},{{ $models -}} }[2m])){{ .by }} / 1e6, 1)
{{- end -}}

{{/* What no schema can say. */}}
{{- define "video-motion.check" -}}
{{- $sources := list -}}
{{- if .Values.modelRepository.pvc.claimName }}{{ $sources = append $sources "pvc.claimName" }}{{ end -}}
{{- if .Values.modelRepository.image.imageName }}{{ $sources = append $sources "image.imageName" }}{{ end -}}
{{- if .Values.modelRepository.bucket.url }}{{ $sources = append $sources "bucket.url" }}{{ end -}}
{{- if eq (len $sources) 0 -}}
{{- fail "modelRepository has no source: set one of modelRepository.pvc.claimName, modelRepository.image.imageName and modelRepository.bucket.url" -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "modelRepository has several sources (%s): set one of them" (join ", " $sources)) -}}
{{- end -}}
{{- if and .Values.modelRepository.export.enabled .Values.modelRepository.pvc.claimName -}}
{{- fail "modelRepository.export writes into the copy of an image or a bucket: with modelRepository.pvc, export into the claim before the installation" -}}
{{- end -}}
{{- if and (hasPrefix "az://" .Values.modelRepository.bucket.url) (not .Values.modelRepository.bucket.account) -}}
{{- fail "modelRepository.bucket.url is az://..., so modelRepository.bucket.account must name the storage account" -}}
{{- end -}}
{{- range .Values.serverArgs -}}
{{- if regexMatch "^--(model-repository|model-control-mode|load-model|http-|grpc-port|grpc-address|grpc-max-connection-age|metrics-port|metrics-address)" . -}}
{{- fail (printf "serverArgs has %s, which the chart or the server sets itself; see server and modelRepository" .) -}}
{{- end -}}
{{- if regexMatch "^--(cache-config|cache-directory|response-cache)" . -}}
{{- fail (printf "serverArgs has %s: the response cache would answer with other parameters' scores" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.server.env -}}
{{- if regexMatch "^(ADDRESS|(HTTP|GRPC|METRICS)_PORT|TRITON_FLAGS|TLS_CERTIFICATE|TLS_KEY|TLS_CLIENT_CA|GATE|PRECISION|MAX_INT8_ERROR|REQUEST_LOG|OPEN_VIDEO_DECODE|STOP_TIMEOUT_SECONDS|MAX_CONNECTION_AGE_SECONDS)$" .name -}}
{{- fail (printf "server.env has %s, which the chart sets itself" .name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tls.clientCA (not .Values.tls.secretName) -}}
{{- fail "tls.clientCA needs tls.secretName, the Secret that holds ca.crt" -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics.podMonitor and metrics.serviceMonitor are both enabled: Prometheus would read each pod twice" -}}
{{- end -}}
{{- if .Values.tags.autoscaling -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d, it must be at most autoscaling.maxReplicas, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.kind "keda") (not .Values.autoscaling.keda.serverAddress) -}}
{{- fail "autoscaling.kind is keda, so autoscaling.keda.serverAddress must be the URL of Prometheus" -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.kind "keda") .Values.autoscaling.metrics -}}
{{- fail "autoscaling.metrics is for autoscaling.kind hpa" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* With TLS, HTTP is served inside the container only, so kubelet cannot ask. */}}
{{- define "video-motion.probe" -}}
{{- if .root.Values.tls.secretName -}}
exec:
  command: [curl, --noproxy, "*", --fail, --silent, --output, /dev/null, --max-time, "5", "http://127.0.0.1:8000/v2/health/{{ .path }}"]
{{- else -}}
httpGet: { path: /v2/health/{{ .path }}, port: http }
{{- end -}}
{{- end -}}

{{/* As `python3 -m server` splits them: each in single quotes. */}}
{{- define "video-motion.flags" -}}
{{- range $index, $flag := .Values.serverArgs }}{{ if $index }} {{ end }}{{ squote $flag }}{{ end -}}
{{- end -}}
