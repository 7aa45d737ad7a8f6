{{/* What a profile implies: devices, tolerations, the image. */}}

{{/* Of resources, the names of extended ones, as JSON. */}}
{{- define "sizeup.extendedResources" -}}
{{- $names := list -}}
{{- range $name := concat (keys (.requests | default dict)) (keys (.limits | default dict)) | uniq | sortAlpha -}}
{{- if contains "/" $name }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{/* dict key profile count gpu extended. Devices that the engine cannot use, or not several of. */}}
{{- define "sizeup.checkDevices" -}}
{{- range $name := .extended -}}
{{- if and $.gpu (regexMatch (include "sizeup.otherDevices" .) $name) -}}
{{- fail (printf "profiles.%s requests %s, but the engine computes on NVIDIA GPUs (nvidia.com/gpu) and, with an image of your own, on AMD GPUs (amd.com/gpu)" $.profile $name) -}}
{{- end -}}
{{- if and (gt $.count 1) (contains "/mig-" $name) -}}
{{- fail (printf "models.%s.profile is %s:%d, but a process sees one MIG device (%s): use a profile of a larger one, or of whole GPUs" $.key $.profile $.count $name) -}}
{{- end -}}
{{- if and (gt $.count 1) (hasSuffix ".shared" $name) -}}
{{- fail (printf "models.%s.profile is %s:%d, but several slices (%s) may be of the same GPU: use a profile of whole GPUs" $.key $.profile $.count $name) -}}
{{- end -}}
{{- if and (not $.gpu) (regexMatch `^(nvidia[.]com/(gpu|mig-)|amd[.]com/gpu)` $name) -}}
{{- fail (printf "profiles.%s requests %s, but its gpuMemoryGiB is 0, so that its pods compute on CPUs: set gpuMemoryGiB, or remove the request" $.profile $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A regular expression: extended resources of accelerators for which torch has no device "cuda". */}}
{{- define "sizeup.otherDevices" -}}
^(([gn]pu\.intel\.com|habana\.ai|huawei\.com|cambricon\.com|qualcomm\.com|furiosa\.ai|rebellions\.ai|tenstorrent\.com)/|aws\.amazon\.com/neuron|google\.com/tpu)
{{- end }}

{{/* sizeup.gpuMemory: list key, values of the model, profile, name of the profile, count. GiB of each GPU. */}}
{{- define "sizeup.gpuMemory" -}}
{{- $key := index . 0 -}}
{{- $profile := index . 2 -}}
{{- $name := index . 3 -}}
{{- $share := (index . 1).gpuMemoryGiB -}}
{{- if $share -}}
{{- if gt (float64 $share) (float64 $profile.gpuMemoryGiB) -}}
{{- fail (printf "models.%s.gpuMemoryGiB is %v, but profile %s has %v GiB of GPU memory" $key $share $name $profile.gpuMemoryGiB) -}}
{{- end -}}
{{- if gt (int (index . 4)) 1 -}}
{{- fail (printf "models.%s.gpuMemoryGiB is a part of one GPU, but the profile is %s:%d" $key $name (int (index . 4))) -}}
{{- end -}}
{{- end -}}
{{- $share | default $profile.gpuMemoryGiB -}}
{{- end }}

{{/* sizeup.resourceTolerations: list extended resources, tolerations of the values. Tolerations of the taints that nodes with
     these devices have, as the admission plugin ExtendedResourceToleration adds them where it is enabled; as JSON. Nodes
     with parts of GPUs (nvidia.com/mig-1g.10gb, nvidia.com/gpu.shared) are tainted as those with whole ones. */}}
{{- define "sizeup.resourceTolerations" -}}
{{- $keys := list -}}
{{- range index . 0 -}}
{{- if hasPrefix "nvidia.com/" . }}{{ $keys = append $keys "nvidia.com/gpu" }}{{ end -}}
{{- $keys = append $keys . -}}
{{- end -}}
{{- $tolerations := list -}}
{{- range $key := uniq $keys -}}
{{- $covered := false -}}
{{- range $own := index $ 1 -}}
{{- if and (eq (get $own "operator") "Exists") (eq ($own.key | default $key) $key) (eq ($own.effect | default "NoSchedule") "NoSchedule") }}{{ $covered = true }}{{ end -}}
{{- end -}}
{{- if not $covered }}{{ $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") }}{{ end -}}
{{- end -}}
{{- toJson $tolerations -}}
{{- end }}

{{/* sizeup.inferenceImage: list root, model. The variant of the image is a suffix of the default tag. */}}
{{- define "sizeup.inferenceImage" -}}
{{- $root := index . 0 -}}
{{- $model := index . 1 -}}
{{- $image := mergeOverwrite (deepCopy $root.Values.inference.image) $model.profile.image -}}
{{- if and $model.gpu $model.needsWeights (not $image.tag) (not $image.digest) (regexMatch `"amd\.com/` (toJson $model.profile.extended)) -}}
{{- fail (printf "profiles.%s requests an AMD GPU, but the image of the tag %s-cuda has torch for NVIDIA GPUs: set profiles.%s.image.repository and tag to an image of your own with torch for ROCm" $model.profileName $root.Chart.AppVersion $model.profileName) -}}
{{- end -}}
{{- if and (not $model.needsWeights) (not $model.profile.image.tag) -}}
{{- $_ := set $image "tag" (printf "%s-fake" ($image.tag | default $root.Chart.AppVersion)) -}}
{{- end -}}
{{- include "sizeup.image" (list $root $image ($model.gpu | ternary "-cuda" "")) -}}
{{- end }}
