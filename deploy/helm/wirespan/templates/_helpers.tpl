{{- define "wirespan.labels" -}}
app.kubernetes.io/name: wirespan
{{- if ne .Release.Name "wirespan" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- end }}
{{- define "wirespan.name" -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- end }}
